//! OTLP/HTTP.

use super::way::TlsEnd;
use super::{http_client, http_settings, request};
use ::http::{StatusCode, Version};
use std::time::Duration;
use tailgate_common::auth::{Credentials, Tokens};
use tailgate_common::client::{ClientError, ClientSettings, Compression, OtlpHttpClient};
use tailgate_testkit::sink::{Behaviour, Sink};

const ALL: [(Compression, &str); 8] = [
    (Compression::None, "none"),
    (Compression::Gzip, "gzip"),
    (Compression::Zstd, "zstd"),
    (Compression::Zlib, "zlib"),
    (Compression::Deflate, "deflate"),
    (Compression::Snappy, "snappy"),
    (Compression::SnappyFramed, "x-snappy-framed"),
    (Compression::Lz4, "lz4"),
];

fn to(sink: &Sink) -> ClientSettings {
    ClientSettings::new(format!("http://{}/v1/traces", sink.addr()))
}

#[tokio::test]
async fn every_compression_and_both_encodings_arrive() {
    for json in [false, true] {
        let sink = Sink::local().await.unwrap();
        for (compression, name) in ALL {
            let settings = ClientSettings { compression, ..to(&sink) };
            let settings = super::HttpSettings { json, ..http_settings(settings) };
            let client = OtlpHttpClient::new(settings).unwrap();
            for _ in 0..2 {
                let exported = client.export(request()).await.unwrap();
                assert_eq!((exported.rejected, exported.message.as_str()), (0, ""));
            }
            assert_eq!(sink.encodings()[name], 2, "{name}");
        }
        assert_eq!((sink.stats().spans, sink.stats().malformed), (16 * 60, 0));
        assert!(sink.received().iter().all(|(_, count)| count == 16));
        let kind = if json { "application/json" } else { "application/x-protobuf" };
        for seen in sink.requests() {
            assert_eq!((seen.version, seen.uri.path()), (Version::HTTP_11, "/v1/traces"));
            assert_eq!(seen.headers["content-type"], kind);
            assert!(seen.headers["user-agent"].to_str().unwrap().starts_with("tailgate/"));
        }
    }
}

#[tokio::test]
async fn what_the_server_answers_is_understood() {
    let sink = Sink::local().await.unwrap();
    for json in [false, true] {
        let settings = super::HttpSettings { json, ..http_settings(to(&sink)) };
        let client = OtlpHttpClient::new(settings).unwrap();
        sink.behave(Behaviour::Partial(7));
        assert_eq!(client.export(request()).await.unwrap().rejected, 7);
    }
    let client = http_client(to(&sink));
    let failed = async |behaviour| {
        sink.behave(behaviour);
        client.export(request()).await.unwrap_err()
    };
    let after = || Some("17".to_owned());
    for code in [429, 502, 503, 504] {
        let code = StatusCode::from_u16(code).unwrap();
        let error = failed(Behaviour::Status(code, after())).await;
        assert!(error.retryable && error.message.contains(code.as_str()), "{error}");
        assert_eq!(error.retry_after, Some(Duration::from_secs(17)));
    }
    for code in [301, 400, 401, 403, 404, 500, 501] {
        let code = StatusCode::from_u16(code).unwrap();
        let error = failed(Behaviour::Status(code, after())).await;
        assert!(!error.retryable && !error.too_large, "{error}");
    }
    let error = failed(Behaviour::Limit(100)).await;
    assert!(error.too_large && !error.retryable, "{error}");
    assert!(error.message.contains("larger than max"), "{error}");
    sink.behave(Behaviour::Stall);
    let settings = ClientSettings { timeout: Duration::from_millis(50), ..to(&sink) };
    let error = http_client(settings).export(request()).await.unwrap_err();
    assert!(error.retryable && error.message.contains("within 50 ms"), "{error}");
    let nobody = http_client(ClientSettings::new("http://127.0.0.1:9/v1/traces"));
    let error = nobody.export(request()).await.unwrap_err();
    assert!(error.retryable && error.message.contains("refused"), "{error}");
}

#[tokio::test]
async fn alpn_chooses_the_version() {
    let sink = Sink::local().await.unwrap();
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (serves, offered, version) in [
        (both, both, Version::HTTP_2),
        (both, &both[1..], Version::HTTP_11),
        (&both[1..], both, Version::HTTP_11),
        (&[], both, Version::HTTP_11),
    ] {
        let end = TlsEnd::start(sink.addr(), serves).await;
        let tls = Some(end.trusted(offered));
        let settings = ClientSettings::new(format!("https://{}/v1/traces", end.addr));
        let client = http_client(ClientSettings { tls, ..settings });
        client.export(request()).await.unwrap();
        client.export(request()).await.unwrap();
        assert_eq!(sink.requests().last().unwrap().version, version);
    }
    let end = TlsEnd::start(sink.addr(), both).await;
    let stranger = TlsEnd::start(sink.addr(), both).await;
    let settings = ClientSettings::new(format!("https://{}/v1/traces", end.addr));
    let client = http_client(ClientSettings { tls: Some(stranger.trusted(both)), ..settings });
    let error = client.export(request()).await.unwrap_err();
    assert!(error.message.to_lowercase().contains("certificate"), "{error}");
}

#[tokio::test]
async fn headers_are_sent_and_a_token_is_read_again() {
    let sink = Sink::local().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    std::fs::write(&file, "one\n").unwrap();
    let header = ::http::header::AUTHORIZATION;
    let tokens = Tokens::from_file(header, "Bearer", file.clone(), Duration::ZERO).unwrap();
    let settings = ClientSettings {
        headers: vec![("x-team".into(), "shop".into()), ("user-agent".into(), "mine".into())],
        auth: Some(Credentials::Bearer(tokens).into()),
        ..to(&sink)
    };
    let client = http_client(settings);
    for token in ["one", "two"] {
        std::fs::write(&file, token).unwrap();
        client.export(request()).await.unwrap();
        let seen = sink.requests().pop().unwrap().headers;
        assert_eq!(seen["authorization"], format!("Bearer {token}"));
        assert_eq!(
            (&seen["x-team"], &seen["user-agent"]),
            (&"shop".parse().unwrap(), &"mine".parse().unwrap())
        );
    }
    assert!(!format!("{client:?}").contains("two"));
}

#[test]
fn a_url_is_needed() {
    for url in ["", "host:4318", "ftp://host/", "http://", "/v1/traces"] {
        let made = OtlpHttpClient::new(http_settings(ClientSettings::new(url)));
        assert_eq!(made.map(drop), Err(ClientError::Url(url.to_owned())));
    }
}
