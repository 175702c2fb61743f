//! The operations: JSON in, JSON out, with the field names of the AWS API
//! (<https://docs.aws.amazon.com/xray/latest/api/API_Operations.html>).

use super::Limits;
use super::document::{self, Facts, trace_number, trace_text};
use super::store::{Store, Trace};
use hyper::{Method, StatusCode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// Traces of one `BatchGetTraces` call.
const MAX_TRACE_IDS: usize = 5;

/// An answer that is not 200.
#[derive(Debug)]
pub(super) enum Error {
    Invalid(String),
    UnknownOperation(String),
    TooLarge(usize),
}

/// Answers one request; `Ok` is the body of a 200.
pub(super) fn handle(
    method: &Method,
    path: &str,
    body: &[u8],
    store: &Mutex<Store>,
    limits: Limits,
) -> Result<String, Error> {
    match (method, path.trim_end_matches('/')) {
        (&Method::POST, "/TraceSegments") => put(read(body)?, store, limits),
        (&Method::POST, "/TraceSummaries") => summaries(read(body)?, &store.lock()),
        (&Method::POST, "/Traces") => batch_get(read(body)?, &store.lock()),
        (&Method::POST, "/TelemetryRecords") => Ok("{}".into()),
        (&Method::GET, "/_stats") => write(&store.lock().stats()),
        _ => Err(Error::UnknownOperation(format!("{method} {path}"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    trace_segment_documents: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct PutReply {
    unprocessed_trace_segments: Vec<Unprocessed>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Unprocessed {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    error_code: &'static str,
    message: String,
}

fn put(call: Put, store: &Mutex<Store>, limits: Limits) -> Result<String, Error> {
    let documents = call.trace_segment_documents;
    if documents.len() > limits.max_documents {
        let most = limits.max_documents;
        return Err(Error::Invalid(format!("Exceeding maximum segment count: {most}")));
    }
    let mut good = Vec::with_capacity(documents.len());
    let mut bad = Vec::new();
    for text in documents {
        match document::read(&text, limits.max_document_bytes) {
            Ok(document) => good.push((text, document)),
            Err(problem) => bad.push(Unprocessed {
                id: problem.id,
                error_code: problem.code,
                message: problem.message,
            }),
        }
    }
    {
        let mut store = store.lock();
        store.count_call(bad.len() as u64);
        good.into_iter().for_each(|(text, document)| store.put(text, document));
    }
    write(&PutReply { unprocessed_trace_segments: bad })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetSummaries {
    start_time: f64,
    end_time: f64,
    filter_expression: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SummariesReply<'a> {
    approximate_time: f64,
    traces_processed_count: usize,
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

fn summaries(call: GetSummaries, store: &Store) -> Result<String, Error> {
    if call.filter_expression.is_some_and(|f| !f.trim().is_empty()) {
        return Err(Error::Invalid("this endpoint has no FilterExpression".into()));
    }
    if call.end_time < call.start_time {
        return Err(Error::Invalid("EndTime is before StartTime".into()));
    }
    let in_range = |trace: &Trace| {
        let (start, _) = trace.span();
        call.start_time <= start && start <= call.end_time
    };
    let found = store.traces().filter(|(_, trace)| in_range(trace));
    let trace_summaries: Vec<_> = found.map(|(id, trace)| Summary::of(id, trace)).collect();
    write(&SummariesReply {
        approximate_time: now(),
        traces_processed_count: trace_summaries.len(),
        trace_summaries,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGet {
    trace_ids: Vec<String>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGetReply<'a> {
    traces: Vec<TraceReply<'a>>,
    unprocessed_trace_ids: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct TraceReply<'a> {
    id: String,
    duration: f64,
    limit_exceeded: bool,
    segments: Vec<SegmentReply<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SegmentReply<'a> {
    id: String,
    document: &'a str,
}

fn batch_get(call: BatchGet, store: &Store) -> Result<String, Error> {
    if call.trace_ids.len() > MAX_TRACE_IDS {
        return Err(Error::Invalid(format!("more than {MAX_TRACE_IDS} TraceIds")));
    }
    let mut reply = BatchGetReply::default();
    for id in &call.trace_ids {
        let (Some(number), Some(trace)) = (trace_number(id), store.trace(id)) else {
            reply.unprocessed_trace_ids.push(id);
            continue;
        };
        let (start, end) = trace.span();
        let segments = trace.by_start();
        let segments = segments
            .iter()
            .map(|(id, s)| SegmentReply { id: format!("{id:016x}"), document: &s.document });
        reply.traces.push(TraceReply {
            id: trace_text(number),
            duration: end - start,
            limit_exceeded: false,
            segments: segments.collect(),
        });
    }
    write(&reply)
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|error| Error::Invalid(error.to_string()))
}

fn write<T: Serialize>(reply: &T) -> Result<String, Error> {
    serde_json::to_string(reply).map_err(|error| Error::Invalid(error.to_string()))
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

// === impl Summary ===

impl<'a> Summary<'a> {
    fn of(id: u128, trace: &'a Trace) -> Summary<'a> {
        let (start, end) = trace.span();
        let root = trace.facts().find(|f| !f.has_parent);
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

// === impl Error ===

impl Error {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Error::Invalid(_) => StatusCode::BAD_REQUEST,
            Error::UnknownOperation(_) => StatusCode::NOT_FOUND,
            Error::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        }
    }

    /// The error's name in the AWS API.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Error::Invalid(_) => "InvalidRequestException",
            Error::UnknownOperation(_) => "UnknownOperationException",
            Error::TooLarge(_) => "RequestEntityTooLargeException",
        }
    }

    pub(super) fn body(&self) -> String {
        let message = match self {
            Error::Invalid(message) => message.clone(),
            Error::UnknownOperation(what) => format!("no such operation here: {what}"),
            Error::TooLarge(most) => format!("a request has at most {most} bytes"),
        };
        serde_json::json!({ "Message": message }).to_string()
    }
}
