//! A load balancer's configuration: what the collector's file means for tier 1.

mod load_balancing;
#[cfg(test)]
mod tests;

use tailgate_common::config::{
    ConfigErrors, Document, Input, Named, Note, Referrer, Section, Shared, Tier, in_order, named,
};

pub use load_balancing::{LoadBalancing, RoutingKey};

/// Everything a load balancer needs to know, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancerConfig {
    /// Receivers, limits, health, telemetry, members.
    pub shared: Shared,
    /// The pipeline's only exporter.
    pub exporter: Named<LoadBalancing>,
}

// === impl LoadBalancerConfig ===

impl LoadBalancerConfig {
    /// Reads a configuration that is parsed already.
    pub fn from_input(input: &Input) -> Result<(Self, Vec<Note>), ConfigErrors> {
        let config = Document::read(input).and_then(|document| Self::from_document(&document));
        input.finish(config)
    }

    fn from_document(document: &Document<'_>) -> Option<Self> {
        let tier = Tier::LoadBalancer;
        let pipeline = document.pipeline(tier);
        let shared = Shared::read(document, tier, pipeline.as_ref(), |_| {});
        // With members by name, the table is made of them and no resolver is needed.
        let members = !document.tailgate.members.is_empty();
        let found = document.wanted(tier, Section::Exporters).into_iter();
        let found: Vec<_> =
            found.filter_map(|c| named(c, |r| LoadBalancing::read(r, members))).collect();
        let pipeline = pipeline?;
        for auth in found.iter().filter_map(|f| f.config.client.auth.as_ref()) {
            auth.check(document, Referrer::Grpc, &shared.authenticators);
        }
        let mut used = in_order(found, &pipeline.exporters);
        if used.len() != 1 && !document.diag().failed() {
            let message = format!(
                "service.pipelines.{}: exports to {} load_balancing exporters",
                pipeline.id,
                used.len()
            );
            document.diag().error(pipeline.mark, message, "a load balancer's pipeline has one");
        }
        (used.len() == 1).then(|| Self { shared, exporter: used.swap_remove(0) })
    }
}
