//! The `links` of a document.

use tailgate_proto::view::LinkView;

use crate::json::Json;
use crate::span::{Span, id};

/// Writes the links, if there are any.
pub(crate) fn write(json: &mut Json, span: &Span<'_>) {
    if !span.has_links {
        return;
    }
    json.key("links");
    json.raw("[");
    let start = json.buf.len();
    for link in span.view.links() {
        if json.is_full(start) {
            break;
        }
        json.separate();
        write_link(json, &link);
    }
    json.raw("]");
}

fn write_link(json: &mut Json, link: &LinkView<'_>) {
    json.raw("{");
    json.field_trace_id("trace_id", id(link.trace_id()));
    match id(link.span_id()) {
        [0, 0, 0, 0, 0, 0, 0, 0] => json.field("id", b""),
        span_id => json.field_id("id", span_id),
    }
    let attributes = link.attributes();
    if !json.brief && attributes.clone().next().is_some() {
        json.key("attributes");
        json.map(&attributes, 1);
    }
    json.raw("}");
}
