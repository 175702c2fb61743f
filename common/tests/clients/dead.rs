//! A server that is gone without a word.

use super::request;
use std::time::Duration;
use tailgate_common::client::{ClientSettings, OtlpGrpcClient, Ping};
use tokio::net::TcpListener;

const UNAVAILABLE: u32 = 14;

#[tokio::test]
async fn a_connection_without_answers_to_pings_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let short = Duration::from_millis(50);
    let settings = ClientSettings {
        timeout: Duration::from_secs(60),
        ping: Some(Ping { after: short, timeout: short, while_idle: false }),
        ..ClientSettings::new(addr.to_string())
    };
    // Not by its own time limit.
    let error = OtlpGrpcClient::new(settings).unwrap().export(request()).await.unwrap_err();
    assert_eq!((error.code, error.retryable), (UNAVAILABLE, true), "{error}");
}
