//! Goes through a fragment and writes the documents of each span.

use tailgate_proto::view::{ResourceSpansView, SpanView, resource_spans};

use crate::attrs::Attrs;
use crate::documents::{Change, Changes, Documents};
use crate::keys::Key;
use crate::name::{is_local_root, remote_service};
use crate::resource::Resource;
use crate::segment::{Role, Segment, take_in_progress};
use crate::span::{Kind, Span, id};
use crate::trim::{self, MAX_DOCUMENT_BYTES};
use crate::{Decision, Options, Told};

/// How far a trace id's time may lie back: 28 days.
const MAX_AGE_S: i64 = 28 * 24 * 60 * 60;

/// How far a trace id's time may lie ahead.
const MAX_AHEAD_S: i64 = 5 * 60;

/// What a split span's service is not told: it is about the call.
const CALL_KEYS: [Key; 4] =
    [Key::AwsRemoteService, Key::AwsRemoteOperation, Key::RemoteTarget, Key::RemoteNamespace];

/// Writes X-Ray segment documents of spans.
#[derive(Debug, Clone)]
pub struct Translator {
    options: Options,
}

/// A part of a fragment: what is translated at a time.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The whole fragment.
    pub fragment: &'a [u8],
    /// The first span of the part, counted from the beginning of the fragment.
    pub from: u32,
    /// The part ends with the span with which the documents have this many bytes or more.
    pub max_bytes: usize,
    /// On the trace; told as [`Options::told`] says.
    pub decision: Option<Decision<'a>>,
}

/// What a run over a fragment works with.
struct Run<'s, 'a> {
    options: &'s Options,
    invent: &'s mut dyn FnMut() -> u64,
    now_s: i64,
    out: &'s mut Documents,
    resource: Resource<'a>,
    attrs: Attrs<'a>,
    /// Of the span that is being written.
    times: Changes,
    decision: Option<Decision<'a>>,
}

// === impl Translator ===

impl Translator {
    /// Takes the options of an exporter.
    pub fn new(mut options: Options) -> Self {
        options.indexed_attributes.sort_unstable();
        options.indexed_attributes.dedup();
        Self { options }
    }

    /// Appends the documents of all spans in the fragment, in order, to `out`.
    ///
    /// `entropy` gives 64 random bits for each id that has to be invented. `now_unix_s` is the time
    /// in seconds, for the check of trace ids (if that is on). Spans are counted on from what `out`
    /// holds already.
    pub fn translate(
        &self,
        fragment: &[u8],
        entropy: &mut dyn FnMut() -> u64,
        now_unix_s: u64,
        out: &mut Documents,
    ) {
        let part = Part { fragment, from: 0, max_bytes: usize::MAX, decision: None };
        self.translate_part(part, entropy, now_unix_s, out);
    }

    /// As `translate`, from a part's first span on, and stops after the span with which `out` holds
    /// `max_bytes` or more.
    ///
    /// A resource's attributes are repeated in each of its segments, so documents can take many
    /// times the room of their fragment. Returns where to go on, counted from the beginning of the
    /// fragment; nothing if that was all.
    pub fn translate_part(
        &self,
        part: Part<'_>,
        entropy: &mut dyn FnMut() -> u64,
        now_unix_s: u64,
        out: &mut Documents,
    ) -> Option<u32> {
        let Part { fragment, from, max_bytes, decision } = part;
        let mut run = Run {
            options: &self.options,
            invent: entropy,
            now_s: i64::try_from(now_unix_s).unwrap_or(i64::MAX),
            out,
            resource: Resource::default(),
            attrs: Attrs::new(self.options.conventions),
            times: Changes::default(),
            decision: decision.filter(|_| self.options.told != Told::default()),
        };
        let mut next = 0_u32;
        for resource in resource_spans(fragment) {
            let mut loaded = false;
            for span in spans(&resource) {
                next += 1;
                if next <= from {
                    continue;
                }
                if run.out.bytes() >= max_bytes {
                    return Some(next - 1);
                }
                if !loaded {
                    run.resource.load(resource.resource(), &self.options);
                    loaded = true;
                }
                run.span(span);
            }
        }
        None
    }
}

fn spans<'a>(resource: &ResourceSpansView<'a>) -> impl Iterator<Item = SpanView<'a>> + use<'a> {
    resource.scopes().flat_map(|scope| scope.spans())
}

// === impl Run ===

impl<'a> Run<'_, 'a> {
    /// Writes the documents of one span.
    fn span(&mut self, view: SpanView<'a>) {
        self.out.spans += 1;
        let span = Span::new(view, &mut self.attrs);
        self.times = self.check_times(&span);
        if !is_local_root(&self.attrs) {
            self.document(&span, Role::Plain, None);
        } else if matches!(span.kind, Kind::Server | Kind::Internal) {
            self.document(&span, Role::LocalRoot, None);
        } else {
            self.split(span);
        }
    }

    /// Two documents: the call, below a service that is invented for it.
    fn split(&mut self, mut span: Span<'a>) {
        let service_id = (self.invent)().to_be_bytes();
        let call = self.attrs.has(Key::AwsRemoteService).then(|| remote_service(&self.attrs));
        let service = if self.attrs.has(Key::AwsLocalService) {
            Some(self.attrs.first_str(Key::AwsLocalService))
        } else if self.resource.attrs.has(Key::ServiceName) {
            Some(self.resource.service_name())
        } else {
            None
        };
        let parent_id = std::mem::replace(&mut span.parent_id, service_id);
        self.document(&span, Role::Dependency, call);

        span.parent_id = parent_id;
        span.span_id = service_id;
        self.attrs.load(span.view.attributes());
        CALL_KEYS.into_iter().for_each(|key| self.attrs.remove(key));
        self.document(&span, Role::Service, service);
    }

    fn document(&mut self, span: &Span<'a>, role: Role, name: Option<&'a [u8]>) {
        let in_progress = take_in_progress(&mut self.attrs);
        let segment = Segment {
            span,
            attrs: &self.attrs,
            resource: &self.resource,
            options: self.options,
            role,
            in_progress,
            name,
            decision: self.decision,
        };
        let out = &mut *self.out;
        let start = out.bytes();
        let mut changes = self.times;
        let metadata = segment.write(&mut out.json, &mut out.order, self.invent);
        // Escaped it takes more room than by itself.
        if out.bytes() - start > MAX_DOCUMENT_BYTES && out.plain_len(start) > MAX_DOCUMENT_BYTES {
            if trim::leave_out_metadata(&mut out.json, start, metadata) {
                changes.add(Change::MetadataLeftOut);
            } else {
                out.json.buf.truncate(start);
                out.json.brief = true;
                segment.write(&mut out.json, &mut out.order, self.invent);
                out.json.brief = false;
                changes.add(Change::Shortened);
            }
        }
        out.push(start, changes);
    }

    /// X-Ray takes any W3C trace id by now and says which it refuses, so nothing is dropped for it.
    fn check_times(&self, span: &Span<'_>) -> Changes {
        let mut changes = Changes::default();
        if self.options.skip_timestamp_validation {
            return changes;
        }
        if !self.is_recent(&span.trace_id) {
            changes.add(Change::TraceIdTime);
        }
        let mut links = span.has_links.then(|| span.view.links()).into_iter().flatten();
        if links.any(|link| !self.is_recent(&id(link.trace_id()))) {
            changes.add(Change::LinkTraceIdTime);
        }
        changes
    }

    /// The first 32 bits of a trace id are its time in X-Ray, in seconds.
    fn is_recent(&self, trace_id: &[u8; 16]) -> bool {
        let [a, b, c, d, ..] = *trace_id;
        let age = self.now_s - i64::from(u32::from_be_bytes([a, b, c, d]));
        (-MAX_AHEAD_S..=MAX_AGE_S).contains(&age)
    }
}
