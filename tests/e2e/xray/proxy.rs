//! The fault server: passes calls on to moto, or does not, as a script says.

use crate::python::xray_id;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tailgate_testkit::traffic::Shape;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Pass,
    /// 429 with `ThrottledException`.
    Throttle,
    /// 503.
    Unavailable,
    /// 403 with `ExpiredTokenException`.
    Expired,
    /// 403 with `AccessDeniedException`.
    Denied,
    /// The connection is reset, and nothing stored.
    Reset,
    /// The connection is reset when all is stored.
    ResetAfter,
    /// Stored; the answer takes its time.
    Slow(Duration),
    /// Every third document is not stored, but listed with this code.
    Unprocessed(&'static str),
}

/// A call, to be judged.
#[derive(Clone, Debug)]
pub struct Call {
    pub documents: usize,
    /// Who signed it.
    pub access_key: String,
    pub at: Instant,
}

/// A call that was judged.
#[derive(Clone, Debug)]
pub struct Judged {
    pub call: Call,
    pub fate: Fate,
    /// Documents that moto got.
    pub stored: usize,
}

/// The running server; it ends when dropped.
pub struct XrayProxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

type Script = Box<dyn FnMut(&Call) -> Fate + Send>;
type Answer = Response<Full<Bytes>>;

struct Shared {
    moto: String,
    client: Client<HttpConnector, Full<Bytes>>,
    script: Mutex<Script>,
    /// Documents whose id ends with this are refused for good.
    poison: Mutex<Option<(&'static str, &'static str)>>,
    judged: Mutex<Vec<Judged>>,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

/// Counts a call while it is answered.
struct Busy<'a>(&'a AtomicUsize);

/// Any will do for moto, which looks for the region in it.
const SIGNED: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/xray/aws4_request, SignedHeaders=host, \
     Signature=0";

// === impl XrayProxy ===

impl XrayProxy {
    /// In front of moto at this URL; passes everything on.
    pub async fn start(moto: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            moto,
            client: Client::builder(TokioExecutor::new()).build_http(),
            script: Mutex::new(Box::new(|_| Fate::Pass)),
            poison: Mutex::default(),
            judged: Mutex::default(),
            busy: AtomicUsize::new(0),
            busiest: AtomicUsize::new(0),
        });
        let serving = shared.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, serving.clone()));
            }
        });
        XrayProxy { addr, shared, server }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// From now on calls are judged by this.
    pub fn script(&self, script: impl FnMut(&Call) -> Fate + Send + 'static) {
        *self.shared.script.lock() = Box::new(script);
    }

    /// Documents whose id ends with `suffix` are refused for good, with `code`.
    pub fn poison(&self, suffix: &'static str, code: &'static str) {
        *self.shared.poison.lock() = Some((suffix, code));
    }

    /// All calls so far.
    pub fn judged(&self) -> Vec<Judged> {
        self.shared.judged.lock().clone()
    }

    /// The most calls that were to be answered at a time.
    pub fn busiest(&self) -> usize {
        self.shared.busiest.load(SeqCst)
    }

    /// What moto has of these traces: how often it has each document, by its id.
    pub async fn stored(&self, shape: &Shape) -> BTreeMap<String, usize> {
        let mut found = BTreeMap::new();
        let ids: Vec<String> = (0..shape.traces).map(|n| hex(&shape.trace(n).id)).collect();
        for five in ids.chunks(5) {
            let five: Vec<String> = five.iter().map(|id| xray_id(id)).collect();
            let body = json!({ "TraceIds": five }).to_string();
            let request = Request::post(format!("{}/Traces", self.shared.moto));
            let request = request.header("authorization", SIGNED).body(body.into()).unwrap();
            let answer = self.shared.client.request(request).await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let traces = body["Traces"].as_array().unwrap();
            for segment in traces.iter().flat_map(|trace| trace["Segments"].as_array().unwrap()) {
                *found.entry(segment["Id"].as_str().unwrap().to_owned()).or_default() += 1;
            }
        }
        found
    }
}

impl Drop for XrayProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // When a call is not answered, the connection ends with a reset.
    stream.set_zero_linger().unwrap();
    let service = service_fn(move |request| answer(request, shared.clone()));
    let server = hyper::server::conn::http1::Builder::new();
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> io::Result<Answer> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = parts.uri.path();
    if path != "/TraceSegments" {
        let (status, body) = shared.pass(path, &parts.headers, body).await?;
        return Ok(plain(status, "", body));
    }
    let _busy = Busy::new(&shared);
    let body: Value = serde_json::from_slice(&body).map_err(io::Error::other)?;
    let documents = body["TraceSegmentDocuments"].as_array().cloned().unwrap_or_default();
    let call = Call {
        documents: documents.len(),
        access_key: access_key(&parts.headers),
        at: Instant::now(),
    };
    let fate = shared.script.lock()(&call);
    let (keep, refused) = shared.sort(documents, fate);
    let stores = match fate {
        Fate::Pass | Fate::ResetAfter | Fate::Slow(_) | Fate::Unprocessed(_) => keep.len(),
        Fate::Throttle | Fate::Unavailable | Fate::Expired | Fate::Denied | Fate::Reset => 0,
    };
    shared.judged.lock().push(Judged { call, fate, stored: stores });
    if stores > 0 {
        let body = json!({ "TraceSegmentDocuments": keep }).to_string();
        let (status, answer) = shared.pass(path, &parts.headers, body.into()).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(io::Error::other)?;
        let unprocessed = &answer["UnprocessedTraceSegments"];
        assert!(status == 200 && *unprocessed == json!([]), "moto: {status} {answer}");
    }
    match fate {
        Fate::Throttle => return Ok(plain(429, "ThrottledException", Bytes::new())),
        Fate::Unavailable => return Ok(plain(503, "", Bytes::new())),
        Fate::Expired => return Ok(plain(403, "ExpiredTokenException", Bytes::new())),
        Fate::Denied => return Ok(plain(403, "AccessDeniedException", Bytes::new())),
        Fate::Reset | Fate::ResetAfter => return Err(io::ErrorKind::ConnectionReset.into()),
        Fate::Slow(time) => tokio::time::sleep(time).await,
        Fate::Pass | Fate::Unprocessed(_) => {}
    }
    Ok(plain(200, "", json!({ "UnprocessedTraceSegments": refused }).to_string().into()))
}

fn plain(status: u16, error: &str, body: Bytes) -> Answer {
    let response = Response::builder().status(status).header("x-amzn-errortype", error);
    response.header("content-type", "application/json").body(Full::new(body)).unwrap()
}

fn access_key(headers: &HeaderMap) -> String {
    let text = headers.get("authorization").and_then(|value| value.to_str().ok());
    let key = text.and_then(|text| text.split("Credential=").nth(1)?.split('/').next());
    key.unwrap_or_default().to_owned()
}

// === impl Busy ===

impl<'a> Busy<'a> {
    fn new(shared: &'a Shared) -> Self {
        let busy = shared.busy.fetch_add(1, SeqCst) + 1;
        shared.busiest.fetch_max(busy, SeqCst);
        Busy(&shared.busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

// === impl Shared ===

impl Shared {
    /// Which documents are stored, and what is said of the others.
    fn sort(&self, documents: Vec<Value>, fate: Fate) -> (Vec<Value>, Vec<Value>) {
        let poison = *self.poison.lock();
        let (mut keep, mut refused) = (Vec::new(), Vec::new());
        for (n, text) in documents.into_iter().enumerate() {
            let document: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
            let id = document["id"].as_str().unwrap();
            match (poison, fate) {
                (Some((suffix, code)), _) if id.ends_with(suffix) => {
                    refused.push(json!({"Id": id, "ErrorCode": code, "Message": "never"}));
                }
                (_, Fate::Unprocessed(code)) if n % 3 == 0 => {
                    refused.push(json!({"Id": id, "ErrorCode": code, "Message": "later"}));
                }
                _ => keep.push(text),
            }
        }
        (keep, refused)
    }

    async fn pass(&self, path: &str, from: &HeaderMap, body: Bytes) -> io::Result<(u16, Bytes)> {
        let mut request = Request::post(format!("{}{path}", self.moto));
        for name in ["authorization", "content-type", "x-amz-date"] {
            if let Some(value) = from.get(name) {
                request = request.header(name, value);
            }
        }
        let request = request.body(Full::new(body)).map_err(io::Error::other)?;
        let answer = self.client.request(request).await.map_err(io::Error::other)?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map_err(io::Error::other)?;
        Ok((status, body.to_bytes()))
    }
}
