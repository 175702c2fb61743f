//! The top level of a configuration: components by section, and the pipelines that join them.

use std::cell::Cell;

use super::component::{self, Component, ComponentId, Reference, Section};
use super::error::Diag;
use super::input::Input;
use super::item::Item;
use super::known::{self, Answer};
use super::pipeline::{self, Pipeline, Tier};
use super::reader::Reader;
use super::source::Mark;
use super::suggest;
use super::tailgate::Tailgate;
use super::telemetry::Telemetry;

/// A configuration whose frame has been read. Components are read by the tier that knows them.
pub struct Document<'a> {
    /// `receivers`.
    pub receivers: Vec<Component<'a>>,
    /// `processors`.
    pub processors: Vec<Component<'a>>,
    /// `exporters`.
    pub exporters: Vec<Component<'a>>,
    /// `extensions`.
    pub extensions: Vec<Component<'a>>,
    /// `service.extensions`.
    pub active: Vec<Reference>,
    /// `service.pipelines`, those of traces that lead to an exporter.
    pub pipelines: Vec<Pipeline>,
    /// The other pipelines, and why they are not run.
    pub(super) others: Vec<(Pipeline, String)>,
    /// `service.telemetry`.
    pub telemetry: Telemetry,
    /// `tailgate`.
    pub tailgate: Tailgate,
    /// Where `tailgate.instance` is.
    pub instance: Mark,
    /// Whether a reference is to nothing: any component may be the one that was meant.
    pub(super) dangling: Cell<bool>,
    connectors: Vec<Component<'a>>,
    mark: Mark,
    diag: &'a Diag,
}

/// Unknown keys of the top level that are reported one by one.
const MANY: usize = 5;
const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "profiles"];

/// The tiers a configuration is for, by its traces pipelines; a sampler if there are none.
pub fn detect_tiers(document: &Document<'_>) -> Vec<Tier> {
    let tiers = document.pipelines.iter().map(Pipeline::tier);
    let found: Vec<Tier> = [Tier::LoadBalancer, Tier::Sampler]
        .into_iter()
        .filter(|tier| tiers.clone().any(|t| t == *tier))
        .collect();
    if found.is_empty() { vec![Tier::Sampler] } else { found }
}

// === impl Document ===

impl<'a> Document<'a> {
    /// Reads the frame. `None` if the input is no mapping; other errors are collected.
    pub fn read(input: &'a Input) -> Option<Self> {
        let r = input.reader()?;
        let section = |section| component::read_section(&r, section);
        let receivers = section(Section::Receivers);
        let processors = section(Section::Processors);
        let exporters = section(Section::Exporters);
        let extensions = section(Section::Extensions);
        let connectors = section(Section::Connectors);
        if !r.has("service") {
            r.error("service", "is missing", "add service: {pipelines: {traces: ...}}");
        }
        let service = r.map_or_empty("service");
        let mark = service.mark_of("pipelines");
        let telemetry = Telemetry::read(&service.map_or_empty("telemetry"));
        let active = references(&service, "extensions");
        let tailgate = r.map_or_empty("tailgate");
        let mut document = Self {
            receivers,
            processors,
            exporters,
            extensions,
            active,
            pipelines: Vec::new(),
            others: Vec::new(),
            telemetry,
            tailgate: Tailgate::read(&tailgate),
            instance: tailgate.mark_of("instance"),
            dangling: Cell::new(false),
            connectors,
            mark,
            diag: r.diag(),
        };
        r.limit_unknown(MANY, "this is no collector's configuration");
        (document.pipelines, document.others) = document.read_pipelines(&service);
        document.check(&document.active, Section::Extensions);
        Some(document)
    }

    /// What `tier` has to do: its traces pipelines as one; an error if there are none, or if they
    /// cannot be one. The other tier's pipelines are noted.
    pub fn pipeline(&self, tier: Tier) -> Option<Pipeline> {
        let (own, others): (Vec<_>, Vec<_>) = self.pipelines.iter().partition(|p| p.tier() == tier);
        if own.is_empty() {
            self.no_pipeline(tier, others.first());
        }
        for (path, why) in self.not_run(tier) {
            self.diag.note(path, why);
        }
        // What two pipelines are that a connector joins is not known: its own error says what to do.
        let connector = |r: &Reference| self.connectors.iter().any(|c| c.id == r.id);
        let joins = |p: &&Pipeline| p.receivers.iter().chain(&p.exporters).any(connector);
        match own.iter().any(joins) {
            true => own.first().map(|p| Pipeline::clone(p)),
            false => pipeline::join(&own, self.diag),
        }
    }

    fn no_pipeline(&self, tier: Tier, other: Option<&&Pipeline>) {
        if self.diag.failed() {
            return;
        }
        match other {
            Some(other) => {
                let what = format!(
                    "service.pipelines.{}: is not for `tailgate {}`",
                    other.id,
                    tier.command()
                );
                let help = format!("start this file with `tailgate {}`", other.tier().command());
                self.diag.error(other.mark, what, &help);
            }
            None => {
                let help = match self.others.is_empty() {
                    true => {
                        "add traces: {receivers: [otlp], exporters: [...]} below service.pipelines"
                    }
                    false => {
                        "nothing in this file is for this gateway, which takes traces only: keep \
                         it in your agent or collector, or add a traces pipeline"
                    }
                };
                self.diag.error(self.mark, "service.pipelines: there is no traces pipeline", help);
            }
        }
    }

    /// Where errors and notes go.
    pub fn diag(&self) -> &'a Diag {
        self.diag
    }

    pub(super) fn section(&self, section: Section) -> &[Component<'a>] {
        match section {
            Section::Receivers => &self.receivers,
            Section::Processors => &self.processors,
            Section::Exporters => &self.exporters,
            Section::Extensions => &self.extensions,
            Section::Connectors => &self.connectors,
        }
    }

    fn read_pipelines(&self, service: &Reader<'_>) -> (Vec<Pipeline>, Vec<(Pipeline, String)>) {
        let (mut run, mut others) = (Vec::new(), Vec::new());
        let Some(pipelines) = service.map("pipelines") else {
            if !service.has("pipelines") {
                service.error("pipelines", "is missing", "add pipelines: {traces: ...}");
            }
            return (run, others);
        };
        for (key, mark, item) in pipelines.entries() {
            let Some((mut pipeline, other)) = self.pipeline_of(key, mark, &item) else { continue };
            if other.is_some() && pipeline.is_empty() {
                continue;
            }
            if let Some(why) = other.or_else(|| self.leads_nowhere(&pipeline)) {
                others.push((pipeline, why));
                continue;
            }
            let looks = |r: &Reference| self.looks_on(&r.id);
            pipeline.lookers = pipeline.exporters.extract_if(.., |r| looks(r)).collect();
            run.push(pipeline);
        }
        (run, others)
    }

    /// Whether it is a connector that makes something else out of spans.
    fn looks_on(&self, id: &ComponentId) -> bool {
        let answer = known::answer(Tier::Sampler, Section::Connectors, &id.kind);
        self.connectors.iter().any(|c| c.id == *id) && matches!(answer, Some(Answer::LeftOut(_)))
    }

    fn leads_nowhere(&self, pipeline: &Pipeline) -> Option<String> {
        let nowhere = pipeline.exporters.iter().all(|r| self.looks_on(&r.id));
        let names: Vec<String> = pipeline.exporters.iter().map(|r| r.id.to_string()).collect();
        (nowhere && !names.is_empty()).then(|| {
            format!("not run here, it only leads to {}: keep it in your agent", names.join(", "))
        })
    }

    /// A pipeline, and why it is not run if it is not one of traces.
    fn pipeline_of(
        &self,
        key: &str,
        mark: Mark,
        item: &Item<'_>,
    ) -> Option<(Pipeline, Option<String>)> {
        let fail = |what: &str, help: &str| {
            self.diag.key_error(mark, format!("{}: {what}", item.path), help);
        };
        let Some(id) = ComponentId::parse(key) else {
            fail("is no name of a pipeline", "write traces or traces/name");
            return None;
        };
        let kind = match suggest::nearest(&id.kind, SIGNALS) {
            Some(kind) if kind == id.kind => kind,
            // Read as what was meant: what is in it may have errors as well.
            Some(near) => {
                fail("is no kind of pipeline", &format!("did you mean {near:?}?"));
                near
            }
            None => {
                fail("is no kind of pipeline", "did you mean \"traces\"?");
                return None;
            }
        };
        let other = match kind {
            "traces" => None,
            kind => Some(format!(
                "not run here, only traces are: keep it in your agent or collector ({kind} that \
                 are sent here are answered \"unimplemented\")"
            )),
        };
        let r = item.map()?;
        let pipeline = Pipeline {
            id,
            mark,
            receivers: references(&r, "receivers"),
            processors: references(&r, "processors"),
            exporters: references(&r, "exporters"),
            lookers: Vec::new(),
        };
        if other.is_none() {
            need(&r, "receivers", "a pipeline needs a receiver", "write receivers: [otlp]");
            need(&r, "exporters", "a pipeline needs an exporter", "write exporters: [otlp_grpc]");
        }
        self.check(&pipeline.receivers, Section::Receivers);
        self.check(&pipeline.processors, Section::Processors);
        self.check(&pipeline.exporters, Section::Exporters);
        Some((pipeline, other))
    }

    /// Each reference is to a component that is defined, and the only one to it.
    fn check(&self, references: &[Reference], section: Section) {
        let defined = self.section(section);
        for (i, reference) in references.iter().enumerate() {
            let id = &reference.id;
            let fail = |what: String, help: String| {
                self.diag.error(reference.mark, format!("{}: {what}", reference.path), help);
            };
            if references[..i].iter().any(|r| r.id == *id) {
                fail(format!("\"{id}\" is listed twice"), "keep one of them".to_owned());
            } else if !defined.iter().chain(&self.connectors).any(|c| c.id == *id) {
                self.dangling.set(true);
                let names: Vec<String> = defined.iter().map(|c| c.id.to_string()).collect();
                let near = suggest::nearest(&id.to_string(), names.iter().map(String::as_str));
                let same = || defined.iter().position(|c| c.id.kind == id.kind);
                let near = near.or_else(|| same().map(|i| names[i].as_str()));
                let help = match near {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("define it below {}", section.name()),
                };
                fail(format!("\"{id}\" is not defined in {}", section.name()), help);
            }
        }
    }
}

/// A list without items is an error.
fn need(r: &Reader<'_>, key: &'static str, what: &str, help: &str) {
    if r.list(key).is_empty() {
        r.error(key, what, help);
    }
}

/// A list of component ids.
fn references(r: &Reader<'_>, key: &'static str) -> Vec<Reference> {
    let mut found = Vec::new();
    for item in r.list(key) {
        let Some(text) = item.string() else { continue };
        match ComponentId::parse(&text) {
            Some(id) => found.push(Reference { id, mark: item.mark(), path: item.path }),
            None => item.error(&format!("{text:?} is no component"), "write type or type/name"),
        }
    }
    found
}
