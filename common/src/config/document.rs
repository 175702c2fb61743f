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

/// The tiers a configuration is for, by its traces pipelines; a sampler if there are none.
pub fn detect_tiers(document: &Document<'_>) -> Vec<Tier> {
    let tiers = document.pipelines.iter().map(Pipeline::tier);
    let found: Vec<Tier> = [Tier::LoadBalancer, Tier::Sampler]
        .into_iter()
        .filter(|tier| tiers.clone().any(|t| t == *tier))
        .collect();
    if found.is_empty() { vec![Tier::Sampler] } else { found }
}

// === impl Tier ===

impl Tier {
    /// The command that runs it.
    pub fn command(self) -> &'static str {
        match self {
            Self::LoadBalancer => "loadbalancer",
            Self::Sampler => "sampler",
        }
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// The tier it is for: a load balancer's pipeline exports to `load_balancing`.
    pub fn tier(&self) -> Tier {
        let balances = |r: &Reference| component::is_load_balancing(&r.id.kind);
        match self.exporters.iter().any(balances) {
            true => Tier::LoadBalancer,
            false => Tier::Sampler,
        }
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
        for connector in &document.connectors {
            connector.unsupported(document.uses(connector));
        }
        Some(document)
    }

    /// What `tier` has to do: its traces pipelines as one. They may differ in their receivers only;
    /// anything else is an error, as is none. The other tier's pipelines are noted.
    pub fn pipeline(&self, tier: Tier) -> Option<Pipeline> {
        let (own, others): (Vec<_>, Vec<_>) = self.pipelines.iter().partition(|p| p.tier() == tier);
        let Some((first, more)) = own.split_first() else {
            self.no_pipeline(tier, others.first());
            return None;
        };
        for other in &others {
            let text = format!("not run here: it is for `tailgate {}`", other.tier().command());
            self.diag.note(format!("service.pipelines.{}", other.id), &text);
        }
        let mut whole = Pipeline::clone(first);
        for next in more {
            let ids = |list: &[Reference]| list.iter().map(|r| r.id.clone()).collect::<Vec<_>>();
            let same = ids(&next.exporters) == ids(&first.exporters)
                && ids(&next.processors) == ids(&first.processors);
            if !same {
                let what = format!(
                    "service.pipelines.{}: differs from {} in more than its receivers",
                    next.id, first.id
                );
                let help = format!(
                    "run one `tailgate {}` for each, or give both the same processors and exporters",
                    tier.command()
                );
                self.diag.error(next.mark, what, &help);
            }
            let new = |r: &&Reference| !whole.receivers.iter().any(|have| have.id == r.id);
            let new: Vec<_> = next.receivers.iter().filter(new).cloned().collect();
            whole.receivers.extend(new);
        }
        Some(whole)
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
                let help =
                    "add traces: {receivers: [otlp], exporters: [...]} below service.pipelines";
                self.diag.error(self.mark, "service.pipelines: there is no traces pipeline", help);
            }
        }
    }

    /// Whether one of `tier`'s own traces pipelines refers to the component.
    pub fn used_by(&self, tier: Tier, component: &Component<'_>) -> bool {
        self.uses_in(component, &|p: &Pipeline| p.tier() == tier)
    }

    /// Whether a traces pipeline or `service.extensions` refers to the component.
    pub fn uses(&self, component: &Component<'_>) -> bool {
        self.uses_in(component, &|_| true)
    }

    fn uses_in(&self, component: &Component<'_>, which: &dyn Fn(&Pipeline) -> bool) -> bool {
        let named = |list: &[Reference]| list.iter().any(|r| r.id == component.id);
        let mut pipelines = self.pipelines.iter().filter(|p| which(p));
        match component.section {
            Section::Extensions => named(&self.active),
            Section::Receivers => pipelines.any(|p| named(&p.receivers)),
            Section::Processors => pipelines.any(|p| named(&p.processors)),
            Section::Exporters => pipelines.any(|p| named(&p.exporters)),
            Section::Connectors => pipelines.any(|p| named(&p.receivers) || named(&p.exporters)),
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
                let text = format!(
                    "not run here, only traces are: keep it in your agent or collector ({} that are \
                     sent here are answered \"unimplemented\")",
                    id.kind
                );
                self.diag.note(item.path.clone(), &text);
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
