//! The operations: JSON in, JSON out, with the field names of the AWS API
//! (<https://docs.aws.amazon.com/xray/latest/api/API_Operations.html>). `GetTraceSummaries` and
//! `GetServiceGraph` have rooms of their own.

use super::Limits;
use super::document::{self, trace_number, trace_text};
use super::store::Store;
use super::{graph, summary};
use hyper::{Method, StatusCode};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

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
        (&Method::POST, "/TraceSummaries") => summary::get(read(body)?, &store.lock()),
        (&Method::POST, "/ServiceGraph") => graph::get(&read(body)?, &store.lock()),
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

pub(super) fn write<T: Serialize>(reply: &T) -> Result<String, Error> {
    serde_json::to_string(reply).map_err(|error| Error::Invalid(error.to_string()))
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
