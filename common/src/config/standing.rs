//! What becomes of each component of a file: used, left out, or an error. The same answers are
//! notes when a tier starts, and lines of `tailgate validate`.

use super::component::{Component, Section};
use super::document::Document;
use super::error::Note;
use super::known::{self, Answer};
use super::pipeline::{Pipeline, Tier};

/// What becomes of a component.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// It is read.
    Used,
    /// It is not; why.
    Out(String),
    /// An error: what is wrong, and what to do.
    Wrong(String, String),
}

/// Components that are used.
const USED: &str = "used";

// === impl Document ===

impl<'a> Document<'a> {
    /// The components of a section that `tier` has to read. The others get their answers here, as
    /// notes or errors.
    pub fn wanted(&self, tier: Tier, section: Section) -> Vec<&Component<'a>> {
        let mut wanted = Vec::new();
        for component in self.section(section) {
            match self.standing(tier, component) {
                Standing::Used => wanted.push(component),
                Standing::Out(why) => component.note(&why),
                Standing::Wrong(what, help) => component.key_error(&what, &help),
            }
        }
        wanted
    }

    /// A line for each component and each pipeline.
    pub fn answers(&self, tier: Tier) -> Vec<Note> {
        let mut lines = Vec::new();
        for section in Section::ALL {
            for component in self.section(section) {
                let text = match self.standing(tier, component) {
                    Standing::Used => USED.to_owned(),
                    Standing::Out(why) => why,
                    Standing::Wrong(what, help) => format!("error: {what}: {help}"),
                };
                lines.push(Note { path: component.path().to_owned(), text });
            }
        }
        for pipeline in self.pipelines.iter().filter(|p| p.tier() == tier) {
            let path = format!("service.pipelines.{}", pipeline.id);
            lines.push(Note { path, text: USED.to_owned() });
        }
        let not_run = self.not_run(tier).into_iter();
        lines.extend(not_run.map(|(path, text)| Note { path, text }));
        lines
    }

    /// Paths of the pipelines that `tier` does not run, and why.
    pub(super) fn not_run(&self, tier: Tier) -> Vec<(String, String)> {
        let path = |pipeline: &Pipeline| format!("service.pipelines.{}", pipeline.id);
        let others = self.pipelines.iter().filter(|p| p.tier() != tier).map(|other| {
            let why = format!("not run here: it is for `tailgate {}`", other.tier().command());
            (path(other), why)
        });
        let rest = self.others.iter().map(|(pipeline, why)| (path(pipeline), why.clone()));
        others.chain(rest).collect()
    }

    fn standing(&self, tier: Tier, component: &Component<'_>) -> Standing {
        let (section, kind) = (component.section, component.id.kind.as_str());
        let used = self.used_by(tier, component);
        let not_used = || Standing::Out(self.why_not_used(tier, component));
        match known::answer(tier, section, kind) {
            Some(Answer::NotNeeded(why)) => Standing::Out(format!("accepted, not needed: {why}")),
            // What nobody refers to may be anything, unless a reference is to something else.
            None => match known::nearest(section, kind) {
                Some(near) if used || self.dangling.get() => {
                    let help = match known::answer(tier, section, near) {
                        Some(Answer::Refused(help)) => {
                            format!("did you mean {near:?}? It is not supported here: {help}")
                        }
                        _ => format!("did you mean {near:?}?"),
                    };
                    Standing::Wrong(format!("{kind:?} is not known"), help)
                }
                None if used => {
                    let (name, read) = (section.name(), known::supported(tier, section));
                    let help =
                        format!("{name} here: {read}; otherwise, {}", known::remedy(section));
                    Standing::Wrong(format!("{kind:?} is not known"), help)
                }
                _ => not_used(),
            },
            Some(Answer::Supported) if used || self.dangling.get() => Standing::Used,
            _ if !used => not_used(),
            Some(Answer::Supported) => Standing::Used,
            Some(Answer::LeftOut(_)) if self.passes_on(component) => {
                let what = format!("{kind} stands between two traces pipelines");
                Standing::Wrong(what, known::remedy(section).to_owned())
            }
            Some(Answer::LeftOut(why)) => Standing::Out(format!("left out: {why}")),
            Some(Answer::Refused(help)) => {
                Standing::Wrong(format!("{kind} is not supported here"), help.to_owned())
            }
        }
    }

    /// Whether one of `tier`'s own traces pipelines, or `service.extensions`, refers to it.
    fn used_by(&self, tier: Tier, component: &Component<'_>) -> bool {
        match component.section {
            Section::Extensions => self.active.iter().any(|r| r.id == component.id),
            Section::Connectors => {
                let others = self.others.iter().map(|(p, _)| p).filter(|p| p.id.kind == "traces");
                self.pipelines.iter().chain(others).any(|p| p.tier() == tier && has(p, component))
            }
            _ => self.pipelines.iter().any(|p| p.tier() == tier && has(p, component)),
        }
    }

    /// Whether a traces pipeline goes on from a connector.
    fn passes_on(&self, component: &Component<'_>) -> bool {
        component.section == Section::Connectors
            && self.pipelines.iter().any(|p| p.receivers.iter().any(|r| r.id == component.id))
    }

    fn why_not_used(&self, tier: Tier, component: &Component<'_>) -> String {
        if component.section == Section::Extensions {
            return "not used: service.extensions does not list it".to_owned();
        }
        if let Some(other) = self.pipelines.iter().find(|p| p.tier() != tier && has(p, component)) {
            return format!("not used here: it is for `tailgate {}`", other.tier().command());
        }
        match self.others.iter().find(|(pipeline, _)| has(pipeline, component)) {
            Some((pipeline, _)) => format!(
                "not used here: only pipelines that are not run here have it, such as {}; keep \
                 it in your agent or collector",
                pipeline.id
            ),
            None => "not used: no pipeline has it".to_owned(),
        }
    }
}

fn has(pipeline: &Pipeline, component: &Component<'_>) -> bool {
    pipeline.references(component.section).iter().any(|r| r.id == component.id)
}
