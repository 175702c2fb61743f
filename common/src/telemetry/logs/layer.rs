//! From events to lines, as many as `sampling` lets through.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::Outputs;
use super::line::{Form, Said};
use super::recent::Logged;
use crate::config::{LogEncoding, LogSampling, Logs};

/// Writes events.
pub(super) struct LogLayer {
    form: Form,
    sampling: Option<LogSampling>,
    /// By place in the source, of which a program has so many and no more.
    seen: Mutex<HashMap<Identifier, Seen>>,
    outputs: Mutex<Outputs>,
    logged: Logged,
}

/// What came from one place.
#[derive(Debug, Clone, Copy)]
struct Seen {
    since: Instant,
    events: u64,
    suppressed: u64,
}

// === impl LogLayer ===

impl LogLayer {
    pub(super) fn new(settings: &Logs, outputs: Outputs, logged: Logged) -> Self {
        Self {
            form: Form {
                json: settings.encoding == LogEncoding::Json,
                caller: settings.caller,
                initial: settings.initial_fields.clone(),
            },
            sampling: settings.sampling,
            seen: Mutex::default(),
            outputs: Mutex::new(outputs),
            logged,
        }
    }

    /// Whether this event is written, and then how many before it were not.
    fn admit(&self, place: Identifier, now: Instant) -> Option<u64> {
        let Some(LogSampling { tick, initial, thereafter }) = self.sampling else { return Some(0) };
        let mut seen = self.seen.lock();
        let new = Seen { since: now, events: 0, suppressed: 0 };
        let seen = seen.entry(place).or_insert(new);
        if now.duration_since(seen.since) >= tick {
            *seen = Seen { suppressed: seen.suppressed, ..new };
        }
        seen.events += 1;
        let beyond = seen.events.saturating_sub(initial);
        if beyond == 0 || (thereafter > 0 && beyond.is_multiple_of(thereafter)) {
            return Some(std::mem::take(&mut seen.suppressed));
        }
        seen.suppressed += 1;
        None
    }

    fn write(&self, line: &str) {
        for output in &mut *self.outputs.lock() {
            // A log that can't be written has no place to say so.
            let _ = output.write_all(line.as_bytes());
            let _ = output.flush();
        }
    }
}

impl<S: Subscriber> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let admitted = self.admit(metadata.callsite(), Instant::now());
        let matters = *metadata.level() <= Level::WARN;
        if admitted.is_none() {
            self.logged.suppressed();
        }
        if admitted.is_none() && !matters {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        if matters {
            self.logged.happened(metadata, &said.message, &said.fields_text());
        }
        if let Some(suppressed) = admitted {
            self.write(&self.form.line(metadata, &said, suppressed));
        }
    }
}
