//! A sampler's configuration: what the collector's file means for tier 2.

mod exporters;
mod policies;
mod tail_sampling;
#[cfg(test)]
mod tests;
mod xray;

use tailgate_common::config::{
    ConfigErrors, Document, Input, Named, Note, Shared, Tailgate, Tier, in_order, named,
};

pub use exporters::{DebugExporter, Exporter, FileExporter, Verbosity};
pub use tail_sampling::TailSampling;
pub use xray::{AwsXray, XrayTelemetry};

/// Everything a sampler needs to know, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplerConfig {
    /// Receivers, limits, health, telemetry, members.
    pub shared: Shared,
    /// The pipeline's `tail_sampling`; without it every span is forwarded.
    pub tail_sampling: Option<Named<TailSampling>>,
    /// The pipeline's exporters, in its order; at least one.
    pub exporters: Vec<Named<Exporter>>,
}

// === impl SamplerConfig ===

impl SamplerConfig {
    /// Reads a configuration that is parsed already.
    pub fn from_input(input: &Input) -> Result<(Self, Vec<Note>), ConfigErrors> {
        let config = Document::read(input).and_then(|document| Self::from_document(&document));
        input.finish(config)
    }

    fn from_document(document: &Document<'_>) -> Option<Self> {
        let tier = Tier::Sampler;
        let pipeline = document.pipeline(tier);
        let mut samplers = Vec::new();
        let shared = Shared::read(document, tier, pipeline.as_ref(), |component| {
            samplers.extend(named(component, TailSampling::read));
        });
        let exporters = exporters::read(document);
        for exporter in &exporters {
            if let Some((auth, by)) = exporter.config.auth() {
                auth.check(document, by, &shared.authenticators);
            }
        }
        check_instance(document);
        let pipeline = pipeline?;
        let mut samplers = in_order(samplers, &pipeline.processors);
        if let Some(second) = samplers.get(1)
            && let Some(at) = pipeline.processors.iter().find(|r| r.id == second.id)
        {
            let text = format!("{}: a second tail_sampling in one pipeline", at.path);
            let help = "a trace would have to be kept by both: join their policies in one, each \
                        pair as an `and` policy";
            document.diag().error(at.mark, text, help);
        }
        let tail_sampling = (!samplers.is_empty()).then(|| samplers.swap_remove(0));
        let exporters = in_order(exporters, &pipeline.exporters);
        exporters::note_contributors(document, &exporters);
        if tail_sampling.is_none() {
            let text = "no tail_sampling: every trace is kept; a first tier has load_balancing as its exporter";
            document.diag().note("service.pipelines.traces", text);
            exporters::note_queues(document, &exporters);
        }
        Some(Self { shared, tail_sampling, exporters })
    }
}

/// A sampler that is none of its own members would never be sent what it owns.
fn check_instance(document: &Document<'_>) {
    let Tailgate { instance, members, .. } = &document.tailgate;
    if members.is_empty() || members.iter().any(|member| member.name == *instance) {
        return;
    }
    let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let text = format!("tailgate.instance: {instance:?} is none of tailgate.members");
    let help = format!("use one of: {}", names.join(", "));
    document.diag().error(document.instance, text, &help);
}
