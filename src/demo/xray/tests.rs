#![allow(clippy::unwrap_used)]
//! Raw requests over loopback, as an SDK would send them.

use super::*;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

async fn endpoint(limits: Limits) -> Handle {
    bind("127.0.0.1:0".parse().unwrap(), limits).await.unwrap()
}

async fn raw(
    handle: &Handle,
    method: &str,
    path: &str,
    body: String,
) -> (u16, Option<String>, Value) {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", handle.url()))
        .header("authorization", "AWS4-HMAC-SHA256 Credential=demo/..., Signature=0")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers().get("x-amzn-errortype");
    let kind = kind.map(|kind| kind.to_str().unwrap().to_owned());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, serde_json::from_slice(&body).unwrap())
}

async fn post(handle: &Handle, path: &str, body: Value) -> Value {
    let (status, _, reply) = raw(handle, "POST", path, body.to_string()).await;
    assert_eq!(status, 200, "{reply}");
    reply
}

async fn put(handle: &Handle, documents: &[String]) -> Vec<Value> {
    let body = json!({ "TraceSegmentDocuments": documents });
    let reply = post(handle, "/TraceSegments", body).await;
    reply["UnprocessedTraceSegments"].as_array().unwrap().clone()
}

fn trace_id(n: u32) -> String {
    format!("1-6543210f-{n:024x}")
}

fn segment(trace: u32, id: u64) -> Value {
    json!({
        "trace_id": trace_id(trace), "id": format!("{id:016x}"), "name": "shop",
        "start_time": 1700000000.25, "end_time": 1700000001.75,
    })
}

fn with(mut document: Value, key: &str, value: Value) -> String {
    match value {
        Value::Null => document.as_object_mut().unwrap().remove(key),
        value => document.as_object_mut().unwrap().insert(key.into(), value),
    };
    document.to_string()
}

#[tokio::test]
async fn documents_come_back_as_they_went_in() {
    let handle = endpoint(Limits::default()).await;
    // Order of keys, blanks, escapes and number forms are the sender's.
    let odd = format!(
        "{{ \"name\":\"caf\\u00e9 \u{fc}\", \"trace_id\":\"{}\",\n \"id\":\"00000000000000ab\",\
         \"end_time\":1.7000000005e9, \"start_time\":1700000000.000000001, \"metadata\":{{}} }}",
        trace_id(1)
    );
    let plain = segment(1, 2).to_string();
    assert!(put(&handle, &[plain.clone(), odd.clone()]).await.is_empty());
    let ids = [trace_id(1), trace_id(9), "nonsense".to_owned()];
    let reply = post(&handle, "/Traces/", json!({ "TraceIds": ids })).await;
    assert_eq!(reply["UnprocessedTraceIds"], json!([trace_id(9), "nonsense"]));
    let trace = &reply["Traces"][0];
    assert_eq!(trace["Id"], json!(trace_id(1)));
    assert_eq!(trace["LimitExceeded"], json!(false));
    // By start time, which is not the order of arrival.
    assert_eq!(trace["Segments"][0], json!({"Id": "00000000000000ab", "Document": odd}));
    assert_eq!(trace["Segments"][1], json!({"Id": "0000000000000002", "Document": plain}));
    assert_eq!(handle.documents(&trace_id(1)), [odd, plain]);
    let (status, kind, _) =
        raw(&handle, "POST", "/Traces", json!({ "TraceIds": vec!["1"; 6] }).to_string()).await;
    assert_eq!((status, kind.as_deref()), (400, Some("InvalidRequestException")));
}

#[tokio::test]
async fn bad_documents_are_given_back_one_by_one() {
    let handle = endpoint(Limits::default()).await;
    let good = || segment(1, 7);
    let huge = with(good(), "metadata", json!({ "x": "y".repeat(64 << 10) }));
    let cases = [
        (with(good(), "id", Value::Null), "MissingId", false),
        (with(good(), "id", json!("+123456789abcdef")), "InvalidId", true),
        (with(good(), "name", Value::Null), "MissingName", true),
        (with(good(), "name", json!("n".repeat(201))), "InvalidName", true),
        (with(good(), "trace_id", Value::Null), "MissingTraceId", true),
        (with(good(), "trace_id", json!("1-2-3")), "InvalidTraceId", true),
        (with(good(), "start_time", Value::Null), "MissingStartTime", true),
        (with(good(), "start_time", json!("now")), "ParseError", true),
        (with(good(), "end_time", Value::Null), "MissingEndTime", true),
        (with(good(), "type", json!("subsegment")), "MissingParentId", true),
        ("{\"id\": \"0000".to_owned(), "ParseError", false),
        (huge, "SegmentTooLarge", true),
    ];
    let mut documents: Vec<String> = cases.iter().map(|(text, ..)| text.clone()).collect();
    documents.push(good().to_string());
    let back = put(&handle, &documents).await;
    assert_eq!(back.len(), cases.len());
    for ((text, code, has_id), back) in cases.iter().zip(&back) {
        assert_eq!(back["ErrorCode"], json!(code), "{text}");
        assert_eq!(back.get("Id").is_some(), *has_id, "{text}");
        assert!(back["Message"].as_str().is_some_and(|m| !m.is_empty()));
    }
    let stats = handle.stats();
    assert_eq!((stats.accepted, stats.unprocessed, stats.calls), (1, cases.len() as u64, 1));
}

#[tokio::test]
async fn a_document_of_just_64_kib_is_taken() {
    let handle = endpoint(Limits::default()).await;
    let fill = (64 << 10) - with(segment(1, 1), "user", json!("")).len();
    let just = with(segment(1, 1), "user", json!("u".repeat(fill)));
    let over = with(segment(1, 2), "user", json!("u".repeat(fill + 1)));
    assert_eq!((just.len(), over.len()), (64 << 10, (64 << 10) + 1));
    let back = put(&handle, &[just, over]).await;
    assert_eq!(back.len(), 1);
    assert_eq!(back[0]["Id"], json!("0000000000000002"));
}

#[tokio::test]
async fn a_segment_in_progress_is_replaced_by_the_whole_one() {
    let handle = endpoint(Limits::default()).await;
    let begun = with(segment(1, 1), "end_time", Value::Null).replace('{', "{\"in_progress\":true,");
    assert!(put(&handle, &[begun]).await.is_empty());
    let query = json!({ "StartTime": 1700000000, "EndTime": 1700000001 });
    let reply = post(&handle, "/TraceSummaries", query.clone()).await;
    assert_eq!(reply["TraceSummaries"][0]["IsPartial"], json!(true));
    let whole = segment(1, 1).to_string();
    assert!(put(&handle, std::slice::from_ref(&whole)).await.is_empty());
    assert_eq!(handle.documents(&trace_id(1)), [whole]);
    let stats = handle.stats();
    assert_eq!((stats.documents, stats.accepted, stats.replaced), (1, 2, 1));
    let reply = post(&handle, "/TraceSummaries", query).await;
    assert_eq!(reply["TraceSummaries"][0]["IsPartial"], json!(false));
}

#[tokio::test]
async fn summaries_show_times_and_flags() {
    let handle = endpoint(Limits::default()).await;
    let mut root = segment(1, 1);
    root["http"] = json!({
        "request": {"method": "GET", "url": "http://shop/cart"},
        "response": {"status": 502, "content_length": 0}
    });
    root["fault"] = json!(true);
    root["annotations"] = json!({"tier": "gold", "total": 12});
    let mut call = segment(1, 2);
    call["type"] = json!("subsegment");
    call["parent_id"] = json!("0000000000000001");
    call["name"] = json!("redis");
    call["annotations"] = json!({"tier": "gold", "total": 13});
    call["end_time"] = json!(1700000003.25);
    let mut late = segment(2, 1);
    late["start_time"] = json!(1700000100);
    late["end_time"] = json!(1700000101);
    late["error"] = json!(true);
    late["throttle"] = json!(true);
    let documents = [root, call, late].map(|document| document.to_string());
    assert!(put(&handle, &documents).await.is_empty());

    let query = json!({ "StartTime": 1700000000, "EndTime": 1700000050 });
    let reply = post(&handle, "/TraceSummaries", query).await;
    assert_eq!(reply["TracesProcessedCount"], json!(1));
    let summary = &reply["TraceSummaries"][0];
    assert_eq!(summary["Id"], json!(trace_id(1)));
    assert_eq!(summary["Duration"], json!(3.0));
    assert_eq!(summary["ResponseTime"], json!(1.5));
    assert_eq!(summary["HasFault"], json!(true));
    assert_eq!(summary["HasError"], json!(false));
    assert_eq!(
        summary["Http"],
        json!({"HttpURL": "http://shop/cart", "HttpStatus": 502, "HttpMethod": "GET"})
    );
    assert_eq!(summary["ServiceIds"], json!([{"Name": "shop", "Names": ["shop"]}]));
    // Each value once, with all services that gave it.
    let redis = json!({"Name": "redis", "Names": ["redis"]});
    let shop = json!({"Name": "shop", "Names": ["shop"]});
    let expected = json!([
        {"AnnotationValue": {"StringValue": "gold"}, "ServiceIds": [shop, redis]}
    ]);
    assert_eq!(summary["Annotations"]["tier"], expected);
    let totals = &summary["Annotations"]["total"];
    assert_eq!(totals[0]["AnnotationValue"], json!({"NumberValue": 12}));
    assert_eq!(totals[1]["AnnotationValue"], json!({"NumberValue": 13}));

    let query = json!({ "StartTime": 1700000000, "EndTime": 1700000100 });
    let reply = post(&handle, "/TraceSummaries", query).await;
    let summary = &reply["TraceSummaries"][1];
    assert_eq!(
        (&summary["HasError"], &summary["HasFault"], &summary["HasThrottle"]),
        (&json!(true), &json!(false), &json!(true))
    );
}

#[tokio::test]
async fn the_oldest_trace_goes_first() {
    let limits = Limits { max_bytes: 8 << 10, ..Limits::default() };
    let handle = endpoint(limits).await;
    for trace in 0..40 {
        assert!(put(&handle, &[segment(trace, 1).to_string()]).await.is_empty());
    }
    let (status, _, stats) = raw(&handle, "GET", "/_stats", String::new()).await;
    assert_eq!(status, 200);
    let stats: Stats = serde_json::from_value(stats).unwrap();
    assert_eq!(stats, handle.stats());
    assert!(stats.bytes <= 8 << 10 && stats.traces > 0);
    assert_eq!(stats.documents, stats.traces);
    assert_eq!(stats.traces + stats.evicted_traces, 40);
    assert_eq!(stats.evicted_documents, stats.evicted_traces);
    assert!(handle.documents(&trace_id(0)).is_empty());
    assert_eq!(handle.documents(&trace_id(39)).len(), 1);
}

#[tokio::test]
async fn calls_beyond_the_limits_are_refused_whole() {
    let limits = Limits { max_body_bytes: 100 << 10, ..Limits::default() };
    let handle = endpoint(limits).await;
    let many: Vec<String> = (0..51).map(|id| segment(1, id).to_string()).collect();
    let body = json!({ "TraceSegmentDocuments": many }).to_string();
    let (status, kind, _) = raw(&handle, "POST", "/TraceSegments", body).await;
    assert_eq!((status, kind.as_deref()), (400, Some("InvalidRequestException")));
    let (status, ..) = raw(&handle, "POST", "/TraceSegments", "x".repeat(101 << 10)).await;
    assert_eq!(status, 413);
    for (path, body) in [("/TraceSegments", "{"), ("/TraceSegments", "{}"), ("/Traces", "[]")] {
        let (status, ..) = raw(&handle, "POST", path, body.into()).await;
        assert_eq!(status, 400, "{path} {body}");
    }
    let filter = json!({"StartTime": 1, "EndTime": 2, "FilterExpression": "falt"}).to_string();
    let (status, _, said) = raw(&handle, "POST", "/TraceSummaries", filter).await;
    assert_eq!(status, 400);
    assert!(
        said["Message"].as_str().unwrap().starts_with("FilterExpression at 0: \"falt\" is not")
    );
    assert_eq!(raw(&handle, "POST", "/Elsewhere", String::new()).await.0, 404);
    assert_eq!(handle.stats(), Stats::default());
}

#[tokio::test]
async fn summaries_come_in_pages() {
    let handle = endpoint(Limits::default()).await;
    for chunk in (0..1500).collect::<Vec<u32>>().chunks(50) {
        let documents: Vec<_> = chunk.iter().map(|n| segment(*n, 1).to_string()).collect();
        assert!(put(&handle, &documents).await.is_empty());
    }
    let mut query = json!({"StartTime": 1600000000, "EndTime": 1800000000});
    let mut ids = Vec::new();
    loop {
        let reply = post(&handle, "/TraceSummaries", query.clone()).await;
        let page = reply["TraceSummaries"].as_array().unwrap();
        assert!(!page.is_empty() && page.len() <= 1000);
        ids.extend(page.iter().map(|s| s["Id"].as_str().unwrap().to_owned()));
        let Some(token) = reply.get("NextToken") else { break };
        query["NextToken"] = token.clone();
    }
    let all: Vec<String> = (0..1500).map(trace_id).collect();
    assert_eq!(ids, all);
    query["NextToken"] = json!("nonsense");
    assert_eq!(raw(&handle, "POST", "/TraceSummaries", query.to_string()).await.0, 400);
}

#[tokio::test]
async fn a_graph_shows_who_called_whom() {
    let handle = endpoint(Limits::default()).await;
    let child = |id: u64, parent: u64, name: &str, more: Value| {
        let mut document = segment(1, id);
        document["parent_id"] = json!(format!("{parent:016x}"));
        document["name"] = json!(name);
        for (key, value) in more.as_object().unwrap() {
            document[key] = value.clone();
        }
        document.to_string()
    };
    let call = |namespace: &str| json!({"type": "subsegment", "namespace": namespace});
    let query = json!({"type": "subsegment", "namespace": "remote", "sql": {"url": "db"}});
    let documents = [
        segment(1, 1).to_string(),
        child(2, 1, "orders", call("remote")),
        child(3, 2, "orders", json!({"fault": true, "origin": "AWS::EKS::Container"})),
        child(4, 3, "work", json!({"type": "subsegment"})),
        child(5, 4, "shop@db", query),
        child(6, 4, "DynamoDB", call("aws")),
        child(7, 99, "lost", json!({})),
    ];
    assert!(put(&handle, &documents).await.is_empty());
    let range = json!({"StartTime": 1600000000, "EndTime": 1800000000});
    let reply = post(&handle, "/ServiceGraph", range).await;
    let services = reply["Services"].as_array().unwrap();
    let name = |id: &Value| {
        let found = services.iter().find(|s| s["ReferenceId"] == *id).unwrap();
        found["Name"].as_str().unwrap().to_owned()
    };
    let mut edges = Vec::new();
    for service in services {
        for edge in service["Edges"].as_array().unwrap() {
            let total = edge["SummaryStatistics"]["TotalCount"].as_u64().unwrap();
            edges.push((name(&service["ReferenceId"]), name(&edge["ReferenceId"]), total));
        }
    }
    edges.sort();
    let wanted =
        [("client", "shop"), ("orders", "DynamoDB"), ("orders", "shop@db"), ("shop", "orders")];
    assert_eq!(edges, wanted.map(|(from, to)| (from.to_owned(), to.to_owned(), 1)));
    let service = |name: &str| services.iter().find(|s| s["Name"] == name).unwrap();
    assert_eq!(service("orders")["Type"], json!("AWS::EKS::Container"));
    assert_eq!(service("orders")["SummaryStatistics"]["FaultStatistics"]["TotalCount"], json!(1));
    assert_eq!(service("shop@db")["Type"], json!("Database::SQL"));
    assert_eq!(service("DynamoDB")["Type"], json!("AWS::DynamoDB"));
    assert_eq!(
        (&service("shop")["Root"], &service("orders")["Root"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(service("shop")["SummaryStatistics"]["TotalResponseTime"], json!(1.5));
}
