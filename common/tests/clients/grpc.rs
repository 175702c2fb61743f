//! OTLP/gRPC: what requests have besides their message, and where they go.

use super::request;
use super::way::{NAME, TlsEnd};
use tailgate_common::client::{ClientError, ClientSettings, Compression, OtlpGrpcClient};
use tailgate_testkit::sink::{Behaviour, Sink};
use tokio::net::{TcpStream, UnixListener};

fn client(settings: ClientSettings) -> OtlpGrpcClient {
    OtlpGrpcClient::new(settings).unwrap()
}

#[tokio::test]
async fn every_compression_of_grpc_arrives() {
    let sink = Sink::local().await.unwrap();
    for (compression, name) in [
        (Compression::None, "none"),
        (Compression::Gzip, "gzip"),
        (Compression::Zstd, "zstd"),
        (Compression::Snappy, "snappy"),
    ] {
        let settings = ClientSettings::new(sink.addr().to_string());
        client(ClientSettings { compression, ..settings }).export(request()).await.unwrap();
        assert_eq!(sink.encodings()[name], 1, "{name}");
    }
    assert_eq!((sink.stats().spans, sink.stats().malformed), (240, 0));
    let settings = ClientSettings::new(sink.addr().to_string());
    let made = OtlpGrpcClient::new(ClientSettings { compression: Compression::Lz4, ..settings });
    assert_eq!(made.map(drop), Err(ClientError::Compression(Compression::Lz4)));
}

#[tokio::test]
async fn a_message_too_large_is_told_from_a_quota() {
    let sink = Sink::local().await.unwrap();
    let client = client(ClientSettings::new(sink.addr().to_string()));
    sink.behave(Behaviour::Limit(100));
    let error = client.export(request()).await.unwrap_err();
    assert!(error.too_large && !error.retryable, "{error}");
    sink.behave(Behaviour::Refuse(tonic::Code::ResourceExhausted, None));
    let error = client.export(request()).await.unwrap_err();
    assert!(!error.too_large && !error.retryable, "{error}");
    // A proxy in front that has a limit of its own.
    sink.behave(Behaviour::Status(http::StatusCode::PAYLOAD_TOO_LARGE, None));
    let error = client.export(request()).await.unwrap_err();
    assert!(error.too_large && !error.retryable, "{error}");
}

#[tokio::test]
async fn the_authority_is_what_the_server_is_called() {
    let sink = Sink::local().await.unwrap();
    let authority = Some(format!("{NAME}:1234"));
    let plain = ClientSettings::new(sink.addr().to_string());
    client(ClientSettings { authority: authority.clone(), ..plain })
        .export(request())
        .await
        .unwrap();
    // It is also the name that is looked for in the certificate, unless there is another.
    let end = TlsEnd::start(sink.addr(), &[b"h2"]).await;
    let settings = ClientSettings {
        tls: Some(end.trusted(&[b"h2"])),
        authority: Some(NAME.to_owned()),
        ..ClientSettings::new(end.addr.to_string())
    };
    client(settings.clone()).export(request()).await.unwrap();
    let wrong = ClientSettings { authority: Some("other.test".to_owned()), ..settings };
    let error = client(wrong.clone()).export(request()).await.unwrap_err();
    assert!(error.message.contains("certificate"), "{error}");
    let right = ClientSettings { server_name: Some(NAME.to_owned()), ..wrong };
    client(right).export(request()).await.unwrap();
    let called: Vec<_> =
        sink.requests().iter().map(|r| r.uri.authority().unwrap().to_string()).collect();
    assert_eq!(called, ["gateway.test:1234", NAME, "other.test"]);
}

#[tokio::test]
async fn a_unix_socket_is_an_endpoint() {
    let sink = Sink::local().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("otlp.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let to = sink.addr();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut backend = TcpStream::connect(to).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut backend).await;
    });
    let client = client(ClientSettings::new(format!("unix:{}", path.display())));
    client.export(request()).await.unwrap();
    assert_eq!(sink.stats().spans, 60);
    assert!(client.authority().ends_with("otlp.sock"));
}
