//! One connection to one receiver.

use super::{Config, Verdict};
use anyhow::Context as _;
use bytes::{Buf as _, BufMut as _, Bytes};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::{Client as Hyper, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::io::Write as _;
use std::time::Duration;
use tonic::Status;
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};

/// The protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Transport {
    /// OTLP/gRPC.
    Grpc,
    /// OTLP/HTTP with protobuf bodies.
    Http,
}

/// The encoding of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// As it is.
    None,
    /// gzip, fast level.
    Gzip,
    /// zstd, level 1.
    Zstd,
}

#[derive(Clone)]
pub(super) enum Client {
    Grpc(tonic::client::Grpc<Channel>),
    Http { client: Hyper<HttpConnector, Full<Bytes>>, url: String, encoding: Option<&'static str> },
}

/// Messages that are bytes already.
#[derive(Clone, Copy, Default)]
struct BytesCodec;

// === impl Client ===

impl Client {
    /// Connects when first used, and again whenever the connection is gone.
    pub(super) fn new(config: &Config, target: &str) -> anyhow::Result<Self> {
        if config.transport == Transport::Http {
            let client = Hyper::builder(TokioExecutor::new()).build_http();
            let encoding = match config.compression {
                Compression::None => None,
                Compression::Gzip => Some("gzip"),
                Compression::Zstd => Some("zstd"),
            };
            return Ok(Client::Http { client, url: format!("{target}/v1/traces"), encoding });
        }
        let endpoint = Endpoint::from_shared(target.to_owned()).context("target")?;
        let endpoint = endpoint.connect_timeout(Duration::from_secs(2)).tcp_nodelay(true);
        let grpc = tonic::client::Grpc::new(endpoint.connect_lazy());
        Ok(Client::Grpc(match config.compression {
            Compression::None => grpc,
            Compression::Gzip => grpc.send_compressed(CompressionEncoding::Gzip),
            Compression::Zstd => grpc.send_compressed(CompressionEncoding::Zstd),
        }))
    }

    pub(super) async fn export(&self, body: Bytes, timeout: Duration) -> Verdict {
        let attempt = async {
            match self {
                Client::Grpc(grpc) => grpc_export(grpc.clone(), body, timeout).await,
                Client::Http { client, url, encoding } => {
                    http_export(client, url, *encoding, body).await
                }
            }
        };
        let no_answer = || Verdict::NoAnswer { reason: format!("no answer in {timeout:?}") };
        tokio::time::timeout(timeout, attempt).await.unwrap_or_else(|_| no_answer())
    }
}

async fn grpc_export(
    mut grpc: tonic::client::Grpc<Channel>,
    body: Bytes,
    timeout: Duration,
) -> Verdict {
    if let Err(e) = grpc.ready().await {
        return Verdict::NoAnswer { reason: format!("not connected: {e}") };
    }
    let mut request = tonic::Request::new(body);
    // The server may use the deadline; ours is the timeout around this call.
    request.set_timeout(timeout);
    let path = http::uri::PathAndQuery::from_static(crate::EXPORT_PATH);
    match grpc.unary(request, path, BytesCodec).await {
        Ok(response) => Verdict::of_response(response.get_ref()),
        Err(status) => Verdict::of_status(&status),
    }
}

async fn http_export(
    client: &Hyper<HttpConnector, Full<Bytes>>,
    url: &str,
    encoding: Option<&str>,
    body: Bytes,
) -> Verdict {
    let mut request = http::Request::post(url).header("content-type", "application/x-protobuf");
    if let Some(encoding) = encoding {
        request = request.header("content-encoding", encoding);
    }
    let exchange = async {
        let response = client.request(request.body(Full::new(body))?).await?;
        let (head, body) = response.into_parts();
        anyhow::Ok((head, body.collect().await?.to_bytes()))
    };
    match exchange.await {
        Ok((head, body)) if head.status == 200 => Verdict::of_response(&body),
        Ok((head, body)) => {
            let retry_after = head.headers.get("retry-after").and_then(|v| v.to_str().ok());
            Verdict::of_http(head.status.as_u16(), retry_after, &String::from_utf8_lossy(&body))
        }
        Err(e) => Verdict::NoAnswer { reason: format!("{e:#}") },
    }
}

/// The bytes to give to [`Client::export`]: over HTTP compressed here, over gRPC by tonic.
pub(super) fn compress_for(config: &Config, body: Vec<u8>) -> Bytes {
    if config.transport == Transport::Grpc {
        return body.into();
    }
    let compressed = match config.compression {
        Compression::None => return body.into(),
        Compression::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(&body).and_then(|()| gzip.finish())
        }
        Compression::Zstd => zstd::encode_all(body.as_slice(), 1),
    };
    // Writing to memory does not fail; an empty request would be seen as missing spans.
    compressed.unwrap_or_default().into()
}

// === impl BytesCodec ===

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = BytesCodec;
    type Decoder = BytesCodec;

    fn encoder(&mut self) -> BytesCodec {
        BytesCodec
    }

    fn decoder(&mut self) -> BytesCodec {
        BytesCodec
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(item.len());
        out.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buf.copy_to_bytes(buf.remaining())))
    }
}
