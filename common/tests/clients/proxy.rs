//! Through a proxy, by CONNECT or by absolute URL.

use super::way::{NAME, TestProxy, TlsEnd};
use super::{http_client, request};
use tailgate_common::client::{ClientSettings, OtlpGrpcClient, Proxy};
use tailgate_testkit::sink::Sink;

fn proxied(proxy: &TestProxy, endpoint: String) -> ClientSettings {
    let url = format!("http://user:hush@{}", proxy.addr);
    let proxy = Some(Proxy::from_url(&url, "proxy_url").unwrap());
    ClientSettings { proxy, ..ClientSettings::new(endpoint) }
}

const CREDENTIALS: &str = "proxy-authorization: basic dxnlcjpodxno";

/// The proxy was asked once, with this first line and the credentials.
fn assert_asked(proxy: &TestProxy, line: &str) {
    let heads = proxy.heads();
    assert_eq!(heads.len(), 1, "{heads:?}");
    assert_eq!(heads[0].lines().next().unwrap(), line);
    assert!(heads[0].to_lowercase().contains(CREDENTIALS), "{heads:?}");
}

#[tokio::test]
async fn http_by_absolute_url() {
    let sink = Sink::local().await.unwrap();
    let proxy = TestProxy::start(sink.addr(), None).await;
    let client = http_client(proxied(&proxy, format!("http://{NAME}:4318/v1/traces")));
    for _ in 0..3 {
        client.export(request()).await.unwrap();
    }
    assert_asked(&proxy, &format!("POST http://{NAME}:4318/v1/traces HTTP/1.1"));
    assert_eq!(sink.stats().spans, 180);
}

#[tokio::test]
async fn https_by_connect() {
    let sink = Sink::local().await.unwrap();
    let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
    for serves in [alpn, &alpn[1..]] {
        let end = TlsEnd::start(sink.addr(), serves).await;
        let proxy = TestProxy::start(end.addr, None).await;
        let mut settings = proxied(&proxy, format!("https://{NAME}/v1/traces"));
        settings.tls = Some(end.trusted(alpn));
        let client = http_client(settings);
        for _ in 0..3 {
            client.export(request()).await.unwrap();
        }
        assert_asked(&proxy, &format!("CONNECT {NAME}:443 HTTP/1.1"));
        let seen = sink.requests().pop().unwrap();
        assert!(!seen.headers.contains_key("proxy-authorization"), "not for the backend");
    }
    assert_eq!(sink.stats().spans, 360);
}

#[tokio::test]
async fn grpc_by_connect_with_and_without_tls() {
    let sink = Sink::local().await.unwrap();
    let end = TlsEnd::start(sink.addr(), &[b"h2"]).await;
    for (to, tls) in [(sink.addr(), None), (end.addr, Some(end.trusted(&[b"h2"])))] {
        let proxy = TestProxy::start(to, None).await;
        let settings = ClientSettings { tls, ..proxied(&proxy, format!("{NAME}:4317")) };
        let client = OtlpGrpcClient::new(settings).unwrap();
        for _ in 0..3 {
            client.export(request()).await.unwrap();
        }
        assert_asked(&proxy, &format!("CONNECT {NAME}:4317 HTTP/1.1"));
    }
    assert_eq!(sink.stats().spans, 360);
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named() {
    let sink = Sink::local().await.unwrap();
    let proxy = TestProxy::start(sink.addr(), Some("407 Proxy Authentication Required")).await;
    let settings = proxied(&proxy, format!("{NAME}:4317"));
    let error = OtlpGrpcClient::new(settings).unwrap().export(request()).await.unwrap_err();
    assert!(error.retryable && error.message.contains("proxy authorization required"), "{error}");
    assert!(error.message.contains(&proxy.addr.to_string()), "{error}");
    assert!(!error.message.contains("hush"), "{error}");
}
