//! What is said about each component that collectors have. The list itself is in [`table`].

mod table;

use super::component::Section;
use super::pipeline::Tier;
use super::suggest;

/// The answer to a component that a pipeline of the tier, or `service.extensions`, refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is read.
    Supported,
    /// What it does is done here anyway; the text says how.
    NotNeeded(&'static str),
    /// It is left out: no span is changed or lost by that. The text says what to do for what it
    /// was there for.
    LeftOut(&'static str),
    /// An error: without it spans would be others, or lost. The text says where it belongs.
    Refused(&'static str),
}

/// Types of components that share their answers.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// Where they are defined.
    pub section: Section,
    /// Their types.
    pub kinds: &'static [&'static str],
    /// The load balancer's answer.
    pub load_balancer: Answer,
    /// The sampler's answer.
    pub sampler: Answer,
}

/// All types, in the order of the documentation.
pub fn known() -> impl Iterator<Item = &'static Known> {
    table::ALL.iter().copied().flatten()
}

/// The answer of `tier` to a type; `None` if nothing is known about it.
pub(super) fn answer(tier: Tier, section: Section, kind: &str) -> Option<Answer> {
    let found = || known().filter(|known| known.section == section);
    let of = |known: &Known| match tier {
        Tier::LoadBalancer => known.load_balancer,
        Tier::Sampler => known.sampler,
    };
    let exact = found().find(|known| known.kinds.contains(&kind)).map(of);
    // The collector is giving its types underscores. What is read goes by its exact name.
    let plain = |kind: &str| kind.replace('_', "");
    let same = |known: &&Known| known.kinds.iter().any(|k| plain(k) == plain(kind));
    exact.or_else(|| {
        let read = |known: &&Known| {
            known.load_balancer == Answer::Supported || known.sampler == Answer::Supported
        };
        found().filter(|known| !read(known)).find(same).map(of)
    })
}

/// What to do about a component of somebody's own.
pub(super) fn remedy(section: Section) -> &'static str {
    match section {
        Section::Receivers => table::RECEIVE,
        Section::Processors => table::FRONT,
        Section::Exporters => table::BEHIND,
        Section::Extensions => "take it out of service.extensions",
        Section::Connectors => table::JOIN,
    }
}

/// The type that `kind` may be a misspelling of.
pub(super) fn nearest(section: Section, kind: &str) -> Option<&'static str> {
    let kinds = known().filter(|known| known.section == section).flat_map(|known| known.kinds);
    suggest::nearest(kind, kinds.copied())
}

/// The types of a section that `tier` reads, as text.
pub(super) fn supported(tier: Tier, section: Section) -> String {
    let read = |known: &&Known| match tier {
        Tier::LoadBalancer => known.load_balancer == Answer::Supported,
        Tier::Sampler => known.sampler == Answer::Supported,
    };
    let kinds: Vec<&str> = known()
        .filter(|known| known.section == section)
        .filter(read)
        .flat_map(|known| known.kinds)
        .copied()
        .collect();
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") }
}

// === impl Known ===

impl Known {
    /// The same answer of both tiers.
    const fn both(section: Section, kinds: &'static [&'static str], answer: Answer) -> Self {
        Self { section, kinds, load_balancer: answer, sampler: answer }
    }
}
