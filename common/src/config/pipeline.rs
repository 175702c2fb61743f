//! Pipelines, and how those of one tier become one.

use super::component::{self, ComponentId, Reference, Section};
use super::error::Diag;
use super::known::{self, Answer};
use super::source::Mark;

/// One pipeline.
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
    /// Connectors among the exporters that are left out.
    pub(super) lookers: Vec<Reference>,
}

/// What a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Tier 1.
    LoadBalancer,
    /// Tier 2.
    Sampler,
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

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::LoadBalancer => "load balancer",
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

    /// Its references to components of a section.
    pub(super) fn references(&self, section: Section) -> Vec<&Reference> {
        match section {
            Section::Receivers => self.receivers.iter().collect(),
            Section::Processors => self.processors.iter().collect(),
            Section::Exporters => self.exporters.iter().collect(),
            Section::Connectors => {
                self.receivers.iter().chain(&self.exporters).chain(&self.lookers).collect()
            }
            Section::Extensions => Vec::new(),
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        [&self.receivers, &self.processors, &self.exporters].iter().all(|list| list.is_empty())
    }

    /// The processors that tell what it does with spans, in order.
    fn steps(&self) -> Vec<&ComponentId> {
        let step =
            |r: &&Reference| match known::answer(self.tier(), Section::Processors, &r.id.kind) {
                Some(Answer::Supported) => r.id.kind != "memory_limiter",
                Some(Answer::Refused(_)) | None => true,
                _ => false,
            };
        self.processors.iter().filter(step).map(|r| &r.id).collect()
    }

    fn add(&mut self, other: &Self) {
        let add = |all: &mut Vec<Reference>, more: &[Reference]| {
            for reference in more {
                if !all.iter().any(|have| have.id == reference.id) {
                    all.push(reference.clone());
                }
            }
        };
        add(&mut self.receivers, &other.receivers);
        add(&mut self.processors, &other.processors);
        add(&mut self.exporters, &other.exporters);
    }
}

/// The pipelines of one tier as one that does the same. They have the same processors, and the
/// same receivers or the same exporters: then each span takes the same steps to the same places.
pub(super) fn join(own: &[&Pipeline], diag: &Diag) -> Option<Pipeline> {
    let (first, more) = own.split_first()?;
    let same = |section: Section| {
        let ids = |p: &Pipeline| {
            let mut ids: Vec<_> = p.references(section).into_iter().map(|r| r.id.clone()).collect();
            ids.sort();
            ids
        };
        more.iter().all(|p| ids(p) == ids(first))
    };
    let joined = same(Section::Receivers) || same(Section::Exporters);
    let mut whole = Pipeline::clone(first);
    for next in more {
        let path = format!("service.pipelines.{}", next.id);
        let command = first.tier().command();
        if next.steps() != first.steps() {
            let what = format!("{path}: has other processors than {}", first.id);
            let help = format!(
                "one `tailgate {command}` does the same with all spans: give both the same \
                 processors, or each its own file with ports of its own, and let the agents \
                 export to both"
            );
            diag.error(next.mark, what, help);
            continue;
        }
        if !joined {
            let what = format!("{path}: differs in receivers and in exporters from {}", first.id);
            let help = format!(
                "one `tailgate {command}` sends all that it receives to the same places: give \
                 all the same receivers, or the same exporters, or each its own file with ports \
                 of its own"
            );
            diag.error(next.mark, what, help);
            continue;
        }
        whole.add(next);
    }
    Some(whole)
}
