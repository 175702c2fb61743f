//! Warnings and errors, for who asks what happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

/// What was logged so far. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Logged(Arc<Inner>);

/// A warning or an error, from one place in the source, however often.
#[derive(Debug, Clone)]
pub struct RecentEvent {
    /// `WARN` or `ERROR`.
    pub level: &'static str,
    /// The message; fields of the last time.
    pub message: String,
    /// As `key=value`.
    pub fields: String,
    /// Where in the source.
    pub place: String,
    /// How often.
    pub count: u64,
    /// The first time.
    pub first: SystemTime,
    /// The last time.
    pub last: SystemTime,
}

#[derive(Debug, Default)]
struct Inner {
    warnings: AtomicU64,
    errors: AtomicU64,
    suppressed: AtomicU64,
    /// The one that happened last is last.
    recent: Mutex<Vec<(Identifier, RecentEvent)>>,
}

/// Distinct events that are remembered.
const MAX_RECENT: usize = 100;

// === impl Logged ===

impl Logged {
    /// Warnings and errors.
    pub fn counts(&self) -> (u64, u64) {
        (self.0.warnings.load(Ordering::Relaxed), self.0.errors.load(Ordering::Relaxed))
    }

    /// Lines that were left out.
    pub fn suppressed_lines(&self) -> u64 {
        self.0.suppressed.load(Ordering::Relaxed)
    }

    /// The last distinct warnings and errors, latest first.
    pub fn recent(&self) -> Vec<RecentEvent> {
        self.0.recent.lock().iter().rev().map(|(_, event)| event.clone()).collect()
    }

    pub(super) fn suppressed(&self) {
        self.0.suppressed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn happened(&self, metadata: &Metadata<'_>, message: &str, fields: &str) {
        let error = *metadata.level() == Level::ERROR;
        let counter = if error { &self.0.errors } else { &self.0.warnings };
        counter.fetch_add(1, Ordering::Relaxed);
        let (place, now) = (metadata.callsite(), SystemTime::now());
        let mut recent = self.0.recent.lock();
        let known = recent.iter().position(|(known, _)| *known == place);
        let (count, first) = match known.map(|index| recent.remove(index)) {
            Some((_, before)) => (before.count, before.first),
            None => (0, now),
        };
        if recent.len() >= MAX_RECENT {
            recent.remove(0);
        }
        let file = metadata.file().unwrap_or_default();
        let event = RecentEvent {
            level: metadata.level().as_str(),
            message: message.to_owned(),
            fields: fields.to_owned(),
            place: format!("{file}:{}", metadata.line().unwrap_or_default()),
            count: count + 1,
            first,
            last: now,
        };
        recent.push((place, event));
    }
}
