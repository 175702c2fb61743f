//! The top level of a configuration: components by section, and the pipelines that join them.

use super::component::{self, Component, ComponentId, Reference, Section};
use super::error::Diag;
use super::input::Input;
use super::item::Item;
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
    /// `service.pipelines`, those of traces.
    pub pipelines: Vec<Pipeline>,
    /// `service.telemetry`.
    pub telemetry: Telemetry,
    /// `tailgate`.
    pub tailgate: Tailgate,
    /// Where `tailgate.instance` is.
    pub instance: Mark,
    connectors: Vec<Component<'a>>,
    mark: Mark,
    diag: &'a Diag,
}

/// One traces pipeline.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// `traces` or `traces/name`.
    pub id: ComponentId,
    /// Where its key is.
    pub mark: Mark,
    /// Receivers in the order of the file; at least one.
    pub receivers: Vec<Reference>,
    /// Processors in the order of the file.
    pub processors: Vec<Reference>,
    /// Exporters in the order of the file; at least one.
    pub exporters: Vec<Reference>,
}

/// What a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Tier 1.
    LoadBalancer,
    /// Tier 2.
    Sampler,
}

const SIGNALS: [&str; 4] = ["traces", "metrics", "logs", "profiles"];

/// The tier a configuration is for: a load balancer if one of its pipelines exports to
/// `load_balancing`, else a sampler.
pub fn detect_tier(document: &Document<'_>) -> Tier {
    let balances = |r: &Reference| component::is_load_balancing(&r.id.kind);
    match document.pipelines.iter().flat_map(|p| &p.exporters).any(balances) {
        true => Tier::LoadBalancer,
        false => Tier::Sampler,
    }
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
        for connector in &connectors {
            let help = "keep it in your agent, and write one pipeline without it here";
            connector.key_error("connectors are not supported", help);
        }
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
            telemetry,
            tailgate: Tailgate::read(&tailgate),
            instance: tailgate.mark_of("instance"),
            connectors,
            mark,
            diag: r.diag(),
        };
        document.pipelines = document.read_pipelines(&service);
        document.check(&document.active, Section::Extensions);
        Some(document)
    }

    /// The one traces pipeline. Several are not supported yet: an error, as is none.
    pub fn pipeline(&self) -> Option<&Pipeline> {
        if let Some(second) = self.pipelines.get(1) {
            let what = format!("service.pipelines.{}: a second traces pipeline", second.id);
            let help = "is not supported yet: run one process for each pipeline";
            self.diag.error(second.mark, what, help);
        }
        if self.pipelines.is_empty() && !self.diag.failed() {
            let help = "add traces: {receivers: [otlp], exporters: [...]} below service.pipelines";
            self.diag.error(self.mark, "service.pipelines: there is no traces pipeline", help);
        }
        self.pipelines.first()
    }

    /// Whether a traces pipeline or `service.extensions` refers to the component.
    pub fn uses(&self, component: &Component<'_>) -> bool {
        let named = |list: &[Reference]| list.iter().any(|r| r.id == component.id);
        match component.section {
            Section::Extensions => named(&self.active),
            Section::Receivers => self.pipelines.iter().any(|p| named(&p.receivers)),
            Section::Processors => self.pipelines.iter().any(|p| named(&p.processors)),
            Section::Exporters => self.pipelines.iter().any(|p| named(&p.exporters)),
            Section::Connectors => false,
        }
    }

    /// Where errors and notes go.
    pub fn diag(&self) -> &'a Diag {
        self.diag
    }

    fn section(&self, section: Section) -> &[Component<'a>] {
        match section {
            Section::Receivers => &self.receivers,
            Section::Processors => &self.processors,
            Section::Exporters => &self.exporters,
            Section::Extensions => &self.extensions,
            Section::Connectors => &self.connectors,
        }
    }

    fn read_pipelines(&self, service: &Reader<'_>) -> Vec<Pipeline> {
        let Some(pipelines) = service.map("pipelines") else {
            if !service.has("pipelines") {
                service.error("pipelines", "is missing", "add pipelines: {traces: ...}");
            }
            return Vec::new();
        };
        let entries = pipelines.entries();
        entries.iter().filter_map(|(key, mark, item)| self.pipeline_of(key, *mark, item)).collect()
    }

    fn pipeline_of(&self, key: &str, mark: Mark, item: &Item<'_>) -> Option<Pipeline> {
        let fail = |what: &str, help: &str| {
            self.diag.key_error(mark, format!("{}: {what}", item.path), help);
        };
        let Some(id) = ComponentId::parse(key) else {
            fail("is no name of a pipeline", "write traces or traces/name");
            return None;
        };
        match id.kind.as_str() {
            "traces" => {}
            "metrics" | "logs" | "profiles" => {
                let what = format!("{} pipelines are not supported: only traces are", id.kind);
                fail(&what, "keep it in your agent");
                return None;
            }
            kind => {
                let near = suggest::nearest(kind, SIGNALS).unwrap_or("traces");
                fail("is no kind of pipeline", &format!("did you mean {near:?}?"));
                return None;
            }
        }
        let r = item.map()?;
        let pipeline = Pipeline {
            id,
            mark,
            receivers: references(&r, "receivers"),
            processors: references(&r, "processors"),
            exporters: references(&r, "exporters"),
        };
        if pipeline.receivers.is_empty() {
            r.error("receivers", "a pipeline needs a receiver", "write receivers: [otlp]");
        }
        if pipeline.exporters.is_empty() {
            r.error("exporters", "a pipeline needs an exporter", "write exporters: [otlp_grpc]");
        }
        self.check(&pipeline.receivers, Section::Receivers);
        self.check(&pipeline.processors, Section::Processors);
        self.check(&pipeline.exporters, Section::Exporters);
        Some(pipeline)
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
                let names: Vec<String> = defined.iter().map(|c| c.id.to_string()).collect();
                let near = suggest::nearest(&id.to_string(), names.iter().map(String::as_str));
                let help = match near {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => format!("define it below {}", section.name()),
                };
                fail(format!("\"{id}\" is not defined in {}", section.name()), help);
            }
        }
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
