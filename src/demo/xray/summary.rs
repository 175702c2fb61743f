//! `GetTraceSummaries`: what there is in a time range, a page at a time.

use super::api::{Error, write};
use super::document::{Facts, trace_number, trace_text};
use super::filter::Filter;
use super::store::{Store, Trace};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Summaries of one answer.
const PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct GetSummaries {
    start_time: f64,
    end_time: f64,
    filter_expression: Option<String>,
    next_token: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SummariesReply<'a> {
    approximate_time: f64,
    traces_processed_count: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    trace_summaries: Vec<Summary<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary<'a> {
    id: String,
    start_time: f64,
    duration: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_time: Option<f64>,
    has_error: bool,
    has_fault: bool,
    has_throttle: bool,
    is_partial: bool,
    http: HttpSummary<'a>,
    annotations: BTreeMap<&'a str, Vec<Annotation<'a>>>,
    service_ids: Vec<ServiceId<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_point: Option<ServiceId<'a>>,
    revision: u32,
}

#[derive(Default, Serialize)]
struct HttpSummary<'a> {
    #[serde(rename = "HttpURL", skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
    #[serde(rename = "HttpStatus", skip_serializing_if = "Option::is_none")]
    status: Option<i64>,
    #[serde(rename = "HttpMethod", skip_serializing_if = "Option::is_none")]
    method: Option<&'a str>,
    #[serde(rename = "UserAgent", skip_serializing_if = "Option::is_none")]
    user_agent: Option<&'a str>,
    #[serde(rename = "ClientIp", skip_serializing_if = "Option::is_none")]
    client_ip: Option<&'a str>,
}

/// A value of an annotation, and the services that gave it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Annotation<'a> {
    /// One pair: the value by its type.
    annotation_value: BTreeMap<&'static str, &'a serde_json::Value>,
    service_ids: Vec<ServiceId<'a>>,
}

#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceId<'a> {
    name: &'a str,
    names: [&'a str; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
}

/// Answers one page.
pub(super) fn get(call: GetSummaries, store: &Store) -> Result<String, Error> {
    let GetSummaries { start_time, end_time, filter_expression, next_token } = call;
    let filter = Filter::parse(filter_expression.as_deref().unwrap_or_default());
    let filter = filter.map_err(Error::Invalid)?;
    let mut left = in_range(store, start_time, end_time, next_token.as_deref())?;
    let mut seen = 0;
    let mut last = None;
    let mut trace_summaries = Vec::new();
    for (id, trace) in left.by_ref() {
        seen += 1;
        if filter.takes(trace) {
            trace_summaries.push(Summary::of(id, trace));
        }
        if trace_summaries.len() >= PAGE {
            last = Some(id);
            break;
        }
    }
    let next_token = last.filter(|_| left.next().is_some()).map(trace_text);
    write(&SummariesReply {
        approximate_time: now(),
        traces_processed_count: seen,
        next_token,
        trace_summaries,
    })
}

/// The traces that began between two times, by first arrival; those after the one that a token
/// names. If that one has been pushed out, all before it have.
pub(super) fn in_range<'s>(
    store: &'s Store,
    start: f64,
    end: f64,
    token: Option<&str>,
) -> Result<impl Iterator<Item = (u128, &'s Trace)> + use<'s>, Error> {
    if end < start {
        return Err(Error::Invalid("EndTime is before StartTime".into()));
    }
    let fail = || Error::Invalid("NextToken is none that was given here".into());
    let after = token.map(|token| trace_number(token).ok_or_else(fail)).transpose()?;
    let known = after.is_some_and(|after| store.traces().any(|(id, _)| id == after));
    let skipped = match after {
        Some(after) if known => store.traces().take_while(|(id, _)| *id != after).count() + 1,
        _ => 0,
    };
    Ok(store.traces().skip(skipped).filter(move |(_, trace)| {
        let (began, _) = trace.span();
        start <= began && began <= end
    }))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

// === impl Summary ===

impl<'a> Summary<'a> {
    fn of(id: u128, trace: &'a Trace) -> Summary<'a> {
        let (start, end) = trace.span();
        let root = trace.facts().find(|f| f.parent.is_none());
        let mut service_ids: Vec<ServiceId<'a>> = Vec::new();
        let mut annotations: BTreeMap<&str, Vec<Annotation<'a>>> = BTreeMap::new();
        for facts in trace.facts() {
            let service = ServiceId::of(facts);
            for (key, value) in &facts.annotations {
                Annotation::add(annotations.entry(key).or_default(), value, &service);
            }
            // Subsegments are work within a service, or calls to one that reports for itself.
            if !facts.is_subsegment && !service_ids.contains(&service) {
                service_ids.push(service);
            }
        }
        Summary {
            id: trace_text(id),
            start_time: start,
            duration: end - start,
            response_time: root.and_then(|f| f.end.map(|end| end - f.start)),
            has_error: trace.facts().any(|f| f.error),
            has_fault: trace.facts().any(|f| f.fault),
            has_throttle: trace.facts().any(|f| f.throttle),
            is_partial: trace.facts().any(|f| f.end.is_none()),
            http: root.map(HttpSummary::of).unwrap_or_default(),
            annotations,
            service_ids,
            entry_point: root.map(ServiceId::of),
            revision: 1,
        }
    }
}

// === impl HttpSummary ===

impl<'a> HttpSummary<'a> {
    fn of(facts: &'a Facts) -> HttpSummary<'a> {
        let request = &facts.http.request;
        HttpSummary {
            url: request.url.as_deref(),
            status: facts.http.response.status,
            method: request.method.as_deref(),
            user_agent: request.user_agent.as_deref(),
            client_ip: request.client_ip.as_deref(),
        }
    }
}

// === impl Annotation ===

impl<'a> Annotation<'a> {
    fn add(list: &mut Vec<Annotation<'a>>, value: &'a serde_json::Value, service: &ServiceId<'a>) {
        let kind = match value {
            serde_json::Value::Number(_) => "NumberValue",
            serde_json::Value::Bool(_) => "BooleanValue",
            _ => "StringValue",
        };
        let annotation_value = BTreeMap::from([(kind, value)]);
        let service = service.clone();
        match list.iter_mut().find(|known| known.annotation_value == annotation_value) {
            None => list.push(Annotation { annotation_value, service_ids: vec![service] }),
            Some(known) if known.service_ids.contains(&service) => {}
            Some(known) => known.service_ids.push(service),
        }
    }
}

// === impl ServiceId ===

impl<'a> ServiceId<'a> {
    fn of(facts: &'a Facts) -> ServiceId<'a> {
        let name = facts.name.as_str();
        ServiceId { name, names: [name], r#type: facts.origin.as_deref() }
    }
}
