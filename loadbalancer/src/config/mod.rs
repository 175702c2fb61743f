//! A load balancer's configuration: what the collector's file means for tier 1.

mod load_balancing;
#[cfg(test)]
mod tests;

use tailgate_common::config::{
    ConfigErrors, Document, Env, Input, Named, Note, Shared, in_order, is_load_balancing, named,
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
    /// Reads the file at `path`. All errors come at once.
    pub fn load(path: &str, env: &Env<'_>) -> Result<(Self, Vec<Note>), ConfigErrors> {
        Self::from_input(&Input::load(path, env)?)
    }

    /// Reads a configuration that is parsed already.
    pub fn from_input(input: &Input) -> Result<(Self, Vec<Note>), ConfigErrors> {
        let config = Document::read(input).and_then(|document| Self::from_document(&document));
        input.finish(config)
    }

    fn from_document(document: &Document<'_>) -> Option<Self> {
        let pipeline = document.pipeline();
        let shared = Shared::read(document, pipeline, |_| false);
        // With members by name, the table is made of them and no resolver is needed.
        let members = !document.tailgate.members.is_empty();
        let mut found = Vec::new();
        for component in &document.exporters {
            match is_load_balancing(&component.id.kind) {
                true => found.extend(named(component, |r| LoadBalancing::read(r, members))),
                false => component.unsupported(document.uses(component)),
            }
        }
        let pipeline = pipeline?;
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
