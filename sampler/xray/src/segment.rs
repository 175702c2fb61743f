//! One document: a segment or a subsegment.

use std::borrow::Cow;

use crate::annotate::{Stored, Taken};
use crate::attrs::Attrs;
use crate::cause::{self, Cause};
use crate::escaped::plain_len;
use crate::json::Json;
use crate::keys::Key;
use crate::name::{self, Naming, naming};
use crate::resource::Resource;
use crate::span::{Kind, Span};
use crate::{Decision, Options, aws, http, links, sql};

/// Which of the documents of a span is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The only one.
    Plain,
    /// The only one, of a local root: a segment in any case.
    LocalRoot,
    /// The call that a local root is, below its service.
    Dependency,
    /// The service of a local root that is a call.
    Service,
}

/// Everything that one document is made of.
pub(crate) struct Segment<'s, 'a> {
    pub(crate) span: &'s Span<'a>,
    pub(crate) attrs: &'s Attrs<'a>,
    pub(crate) resource: &'s Resource<'a>,
    pub(crate) options: &'s Options,
    pub(crate) role: Role,
    pub(crate) in_progress: bool,
    /// Instead of what the attributes say; may be empty.
    pub(crate) name: Option<&'a [u8]>,
    /// To be told, by segments.
    pub(crate) decision: Option<Decision<'a>>,
}

/// More than what a version needs; a brief document goes without.
const MAX_BRIEF_SERVICE: usize = 1024;

// === impl Segment ===

impl Segment<'_, '_> {
    /// Appends the document; gives the place where its last member begins, the metadata.
    pub(crate) fn write(
        &self,
        json: &mut Json,
        order: &mut Vec<u32>,
        invent: &mut dyn FnMut() -> u64,
    ) -> usize {
        let (span, attrs, resource) = (self.span, self.attrs, self.resource);
        let is_service = self.role == Role::Service;
        json.raw("{");
        self.write_identity(json);
        self.write_times(json);
        let flags = http::flags(span, attrs);
        json.field_bool("error", flags.error);
        json.field_bool("fault", flags.fault);
        json.field_bool("throttle", flags.throttle);
        if !is_service {
            http::write(json, span, attrs);
        }
        let cause = cause::find(span, attrs);
        cause::write(json, cause, span, attrs, resource, invent);
        aws::write(json, attrs, resource, !is_service);
        if let Some(origin) = resource.origin {
            json.field("origin", origin.as_bytes());
        }
        let service = &resource.service.buf;
        let too_large = json.brief && plain_len(service) > MAX_BRIEF_SERVICE;
        if !service.is_empty() && !too_large {
            json.key("service");
            json.append(&resource.service);
        }
        let sql = sql::is_sql(attrs);
        if sql {
            sql::write(json, span, attrs);
        }
        if self.has_links() {
            links::write(json, span);
        }
        let stored = Stored {
            attrs,
            options: self.options,
            resource: span.is_segment().then_some((&resource.attrs, &resource.storage)),
            taken: Taken::new(span, attrs, resource, sql),
            status_text: cause == Cause::Status,
            resource_only: is_service,
            decision: self.decision.filter(|_| !self.is_subsegment()),
        };
        let metadata = stored.write(json, order);
        json.raw("}");
        metadata
    }

    fn write_identity(&self, json: &mut Json) {
        let span = self.span;
        let Naming { name, namespace } = naming(span, self.attrs, self.resource.service_name());
        match self.name.map(Cow::Borrowed).or(name) {
            Some(name) => json.field_or_null("name", &name),
            None => {
                json.key("name");
                json.quote();
                name::write_own(json, span.name);
                json.quote();
            }
        }
        if span.span_id == [0; 8] {
            json.key("id");
            json.raw("null");
        } else {
            json.field_id("id", span.span_id);
        }
        if span.parent_id != [0; 8] {
            json.field_id("parent_id", span.parent_id);
        }
        json.field_trace_id("trace_id", span.trace_id);
        if self.is_subsegment() {
            json.field("type", b"subsegment");
        }
        let namespace = match self.role {
            Role::Plain => namespace,
            Role::Dependency => namespace.or(Some("remote")),
            Role::LocalRoot | Role::Service => None,
        };
        if let Some(namespace) = namespace {
            json.field("namespace", namespace.as_bytes());
        }
    }

    fn is_subsegment(&self) -> bool {
        match self.role {
            Role::Plain => !self.span.is_segment(),
            Role::Dependency => true,
            Role::LocalRoot | Role::Service => false,
        }
    }

    fn write_times(&self, json: &mut Json) {
        json.key("start_time");
        json.double(self.span.start_ns as f64 / 1e9);
        if self.in_progress {
            json.field_bool("in_progress", true);
        } else {
            json.key("end_time");
            json.double(self.span.end_ns as f64 / 1e9);
        }
    }

    /// Of two documents one has the links: the service's, if the span received what they point to.
    fn has_links(&self) -> bool {
        let received = self.span.kind == Kind::Consumer;
        match self.role {
            Role::Plain | Role::LocalRoot => true,
            Role::Dependency => !received,
            Role::Service => received,
        }
    }
}

/// Whether the span has not ended yet, if it says so; the attribute that says so is taken out.
pub(crate) fn take_in_progress(attrs: &mut Attrs<'_>) -> bool {
    match attrs.first(Key::InProgress) {
        Some(&tailgate_proto::view::Value::Bool(value)) => {
            attrs.remove(Key::InProgress);
            value
        }
        _ => false,
    }
}
