//! gRPC framing, through a server: any body gets an answer that a client can read.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;
use tailgate_common::limit::ByteBudget;
use tailgate_common::receive::{Ingest, Reply, Server, ServerSettings, Transport};
use tailgate_proto::{Limits, Scan, scan};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const EXPORT: &str = "http://localhost/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LARGEST: usize = 64 << 10;
const ENCODINGS: [&str; 5] = ["identity", "gzip", "zstd", "snappy", "br"];

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

struct Served {
    runtime: Runtime,
    /// Held by the one request that is under way: the budget is everyone's.
    client: Mutex<http2::SendRequest<Body>>,
    budget: ByteBudget,
}

/// Scans what comes, as the tiers do.
struct Scanner;

impl Ingest for Scanner {
    async fn ingest(&self, body: Bytes, _: Transport) -> Reply {
        assert!(!body.is_empty() && body.len() <= LARGEST);
        // Whatever it is.
        let _ = scan(&body, &Limits::default(), &mut Scan::default());
        Reply::Held
    }
}

fn served() -> &'static Served {
    static SERVED: OnceLock<Served> = OnceLock::new();
    SERVED.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let budget = ByteBudget::new(1 << 20);
        let client = runtime.block_on(async {
            let settings = ServerSettings {
                max_recv_msg_size: LARGEST,
                ..ServerSettings::grpc("127.0.0.1:0")
            };
            let server = Server::bind(settings, Scanner, budget.clone(), None).await.unwrap();
            let addr = server.local_addr();
            // It runs for as long as the process.
            std::mem::forget(server.spawn());
            let io = TokioIo::new(TcpStream::connect(addr).await.unwrap());
            let (client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            client
        });
        Served { runtime, client: Mutex::new(client), budget }
    })
}

/// A body of any bytes, in pieces and with an encoding that the first two bytes pick.
pub(crate) fn grpc_any(bytes: &[u8]) {
    let [encoding, piece, bytes @ ..] = bytes else { return };
    let encoding = ENCODINGS[usize::from(*encoding) % ENCODINGS.len()];
    let pieces: Vec<_> = bytes
        .chunks(usize::from(*piece) * 16 + 1)
        .map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(piece))))
        .collect();
    let served = served();
    let mut client = served.client.lock().expect("no request has failed");
    served.runtime.block_on(async {
        let mut pieces = pieces.into_iter();
        let body = StreamBody::new(futures_util::stream::poll_fn(move |_| {
            std::task::Poll::Ready(pieces.next())
        }));
        let request = Request::post(EXPORT)
            .header("content-type", "application/grpc")
            .header("grpc-encoding", encoding)
            .body(BodyExt::boxed(body))
            .unwrap();
        let exchange = async {
            client.ready().await.expect("the connection goes on");
            let answer = client.send_request(request).await.expect("an answer");
            let (head, body) = answer.into_parts();
            assert_eq!(head.status, 200);
            let body = body.collect().await.expect("all of it");
            let trailers = body.trailers().unwrap_or(&head.headers);
            let status = trailers["grpc-status"].to_str().unwrap().to_owned();
            // Held, malformed, an unknown encoding.
            assert!(["0", "3", "12"].contains(&&*status), "{status}");
        };
        tokio::time::timeout(Duration::from_secs(20), exchange).await.expect("an answer in time");
    });
    assert_eq!(served.budget.used(), 0);
}
