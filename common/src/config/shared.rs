//! The parts that both tiers read the same way.

use super::auth::{self, Authenticator, Referrer};
use super::component::{Component, ComponentId, Reference, Section};
use super::document::Document;
use super::health::HealthCheck;
use super::memory::MemoryLimiter;
use super::pipeline::{Pipeline, Tier};
use super::receiver::OtlpReceiver;
use super::tailgate::Tailgate;
use super::telemetry::Telemetry;

/// A component's settings under its id.
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T> {
    /// The id, which is also its name in metrics.
    pub id: ComponentId,
    /// The settings.
    pub config: T,
}

/// What both tiers have.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared {
    /// The receivers of the pipeline, in its order.
    pub receivers: Vec<Named<OtlpReceiver>>,
    /// The pipeline's `memory_limiter`, if it has one.
    pub memory_limiter: Option<MemoryLimiter>,
    /// The authenticators that are defined.
    pub authenticators: Vec<Named<Authenticator>>,
    /// `health_check`, if it is listed in `service.extensions`.
    pub health_check: Option<HealthCheck>,
    /// `service.telemetry`.
    pub telemetry: Telemetry,
    /// `tailgate`.
    pub tailgate: Tailgate,
}

// === impl Shared ===

impl Shared {
    /// Reads receivers, extensions and the processors that are not a tier's own, which `own` reads.
    pub fn read<'a>(
        document: &Document<'a>,
        tier: Tier,
        pipeline: Option<&Pipeline>,
        mut own: impl FnMut(&Component<'a>),
    ) -> Self {
        let members = !document.tailgate.members.is_empty();
        let receivers = document.wanted(tier, Section::Receivers).into_iter();
        let receivers: Vec<_> =
            receivers.filter_map(|c| named(c, |r| OtlpReceiver::read(r, members))).collect();
        let mut limiters = Vec::new();
        for component in document.wanted(tier, Section::Processors) {
            match component.id.kind.as_str() {
                "memory_limiter" => limiters.extend(named(component, MemoryLimiter::read)),
                _ => own(component),
            }
        }
        document.wanted(tier, Section::Connectors);
        let mut health = Vec::new();
        for component in document.wanted(tier, Section::Extensions) {
            if component.id.kind == "health_check" {
                health.extend(named(component, HealthCheck::read));
            }
        }
        // Those that are not in service as well: who refers to one is told so.
        let authenticators = document.extensions.iter().filter(|e| auth::is_read(&e.id.kind));
        let authenticators: Vec<_> = authenticators.filter_map(auth::read).collect();
        for receiver in &receivers {
            let grpc = receiver.config.grpc.as_ref().and_then(|grpc| grpc.auth.as_ref());
            let http = receiver.config.http.as_ref().and_then(|http| http.auth.as_ref());
            for reference in grpc.into_iter().chain(http) {
                reference.check(document, Referrer::Server, &authenticators);
            }
        }
        let processors = pipeline.map_or(&[][..], |p| &p.processors);
        Self {
            receivers: in_order(receivers, pipeline.map_or(&[][..], |p| &p.receivers)),
            memory_limiter: in_order(limiters, processors).into_iter().next().map(|n| n.config),
            authenticators,
            health_check: in_order(health, &document.active).into_iter().next().map(|n| n.config),
            telemetry: document.telemetry.clone(),
            tailgate: document.tailgate.clone(),
        }
    }
}

/// The settings of a component; `None` after an error.
pub fn named<T>(
    component: &Component<'_>,
    read: impl FnOnce(&super::Reader<'_>) -> T,
) -> Option<Named<T>> {
    let reader = component.reader()?;
    Some(Named { id: component.id.clone(), config: read(&reader) })
}

/// Those of `all` that `references` name, in the order of these.
pub fn in_order<T>(mut all: Vec<Named<T>>, references: &[Reference]) -> Vec<Named<T>> {
    let mut found = Vec::new();
    for reference in references {
        if let Some(i) = all.iter().position(|n| n.id == reference.id) {
            found.push(all.swap_remove(i));
        }
    }
    found
}
