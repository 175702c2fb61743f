//! An X-Ray endpoint that misbehaves on demand.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tailgate_proto::view::resource_spans;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::core::outbox::Kept;

/// What happens to one call.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fault {
    /// None.
    Nothing,
    /// 400 with `ThrottledException`.
    Throttle,
    /// 429 and nothing more.
    TooMany,
    /// 429 that asks for so many seconds of patience.
    Patience(u64),
    /// 503.
    Busy,
    /// 403 with `ExpiredTokenException`.
    ExpiredToken,
    /// No answer for a while, and nothing stored.
    Slow(Duration),
    /// The connection is reset.
    Reset,
    /// The connection is reset when all is stored.
    ResetAfterStoring,
    /// 400 whose body says that it is throttled, in the form with a namespace and a URL.
    InBody,
    /// 200, but not as X-Ray.
    Foreign,
    /// 200, and the connection ends before the answer does.
    Cut,
    /// Every other document is unprocessed, with this code.
    Unprocessed(&'static str),
}

/// The endpoint.
#[derive(Clone)]
pub(super) struct XrayServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// One document as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) trace: String,
}

#[derive(Default)]
struct State {
    faults: VecDeque<Fault>,
    stored: HashSet<String>,
    calls: Vec<Vec<Seen>>,
    poison: HashMap<String, &'static str>,
    last_target: String,
    records: Vec<Value>,
}

/// Status, error type, body; or a reset.
type Answer = Option<(u16, &'static str, Value)>;

impl XrayServer {
    pub(super) async fn start(faults: impl IntoIterator<Item = Fault>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let faults = faults.into_iter().collect();
        let server =
            Self { address, state: Arc::new(Mutex::new(State { faults, ..State::default() })) };
        let state = server.state.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, state.clone()));
            }
        });
        server
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Different documents stored.
    pub(super) fn stored(&self) -> usize {
        self.state.lock().stored.len()
    }

    pub(super) fn calls(&self) -> Vec<Vec<Seen>> {
        self.state.lock().calls.clone()
    }

    pub(super) fn faults_left(&self) -> usize {
        self.state.lock().faults.len()
    }

    pub(super) fn last_target(&self) -> String {
        self.state.lock().last_target.clone()
    }

    /// Calls with telemetry records.
    pub(super) fn records(&self) -> Vec<Value> {
        self.state.lock().records.clone()
    }

    /// This span is never taken; its id. `refuse` and `unreadable` refuse its whole call, which fails
    /// with `break`; `nameless` says nothing of its id.
    pub(super) fn poison(&self, kept: &Kept, span: usize, code: &'static str) -> String {
        let spans = resource_spans(&kept.fragment).flat_map(|r| r.scopes()).flat_map(|s| s.spans());
        let id = spans.map(|span| span.span_id().to_vec()).nth(span).unwrap();
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.state.lock().poison.insert(id.clone(), code);
        id
    }
}

async fn connection(stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (target, body) = request(&mut stream).await?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let (fault, answer) = if target == "/telemetryrecords" {
            state.lock().records.push(body);
            (None, Some((200, "", json!({}))))
        } else {
            segments(target, &body, &state).await
        };
        let Some((status, kind, body)) = answer else {
            stream.get_ref().set_zero_linger().ok()?;
            return None;
        };
        let body = body.to_string();
        let patience = match fault {
            Some(Fault::Patience(seconds)) => format!("retry-after: {seconds}\r\n"),
            _ => String::new(),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\nx-amzn-errortype: {kind}\r\n{patience}content-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len() + usize::from(matches!(fault, Some(Fault::Cut)))
        );
        stream.write_all(head.as_bytes()).await.ok()?;
        if matches!(fault, Some(Fault::Cut)) {
            return None;
        }
    }
}

async fn segments(target: String, body: &Value, state: &Mutex<State>) -> (Option<Fault>, Answer) {
    let texts = body["TraceSegmentDocuments"].as_array().unwrap();
    let seen = |text: &Value| {
        let document: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        let field = |key: &str| document[key].as_str().unwrap().to_owned();
        Seen { id: field("id"), trace: field("trace_id") }
    };
    let call: Vec<_> = texts.iter().map(seen).collect();
    let fault = {
        let mut state = state.lock();
        state.last_target = target;
        state.calls.push(call.clone());
        state.faults.pop_front()
    };
    if let Some(Fault::Slow(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let answer = state.lock().answer(&call, fault);
    (fault, answer)
}

async fn request(stream: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let (mut target, mut len) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if target.is_empty() {
            assert!(line.starts_with("post "), "{line}");
            target = line.split(' ').nth(1)?.replace("tracesegments", "TraceSegments");
        } else if let Some(value) = line.strip_prefix("content-length:") {
            len = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body).await.ok()?;
    Some((target, body))
}

impl State {
    fn answer(&mut self, call: &[Seen], fault: Option<Fault>) -> Answer {
        let mut unprocessed = Vec::new();
        match fault {
            Some(Fault::Throttle) => return Some((400, "ThrottledException", json!({}))),
            Some(Fault::TooMany | Fault::Patience(_)) => return Some((429, "", json!({}))),
            Some(Fault::Busy) => return Some((503, "", json!({}))),
            Some(Fault::ExpiredToken) => return Some((403, "ExpiredTokenException", json!({}))),
            Some(Fault::InBody) => {
                let kind = "com.amazonaws.xray#ThrottledException:http://xray/";
                return Some((400, "", json!({"__type": kind, "message": "slow down"})));
            }
            Some(Fault::Foreign) => return Some((200, "", json!("a captive portal"))),
            Some(Fault::Cut) => return Some((200, "", json!({}))),
            Some(Fault::Reset) => return None,
            Some(Fault::Slow(_)) => return Some((500, "", json!({}))),
            Some(Fault::Nothing | Fault::ResetAfterStoring | Fault::Unprocessed(_)) | None => {}
        }
        let poisoned = |seen: &Seen| self.poison.get(&seen.id).copied();
        for (poison, code) in
            [("refuse", "InvalidRequestException"), ("unreadable", "SerializationException")]
        {
            if call.iter().any(|seen| poisoned(seen) == Some(poison)) {
                return Some((400, code, json!({"Message": "no"})));
            }
        }
        if call.iter().any(|seen| poisoned(seen) == Some("break")) {
            return Some((500, "", json!({})));
        }
        for (n, seen) in call.iter().enumerate() {
            match (fault, self.poison.get(&seen.id)) {
                (_, Some(&"nameless")) => unprocessed.push(json!({"ErrorCode": "ParseError"})),
                (_, Some(code)) => {
                    unprocessed.push(json!({"Id": seen.id, "ErrorCode": code, "Message": "never"}));
                }
                (Some(Fault::Unprocessed(code)), _) if n % 2 == 0 => {
                    unprocessed.push(json!({"Id": seen.id, "ErrorCode": code}));
                }
                _ => {
                    self.stored.insert(seen.id.clone());
                }
            }
        }
        if matches!(fault, Some(Fault::ResetAfterStoring)) {
            return None;
        }
        Some((200, "", json!({"UnprocessedTraceSegments": unprocessed})))
    }
}
