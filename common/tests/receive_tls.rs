//! TLS and mTLS, with certificates made here.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::{Rig, until};
use tailgate_common::client::{ClientSettings, OtlpGrpcClient, SendError};
use tailgate_common::net::tls::{ClientFiles, ServerFiles, Versions, client_config, server_config};
use tailgate_common::receive::ServerSettings;
use tempfile::TempDir;

/// One authority, a server's and a client's certificate, and another authority's client.
struct Pki {
    dir: TempDir,
}

impl Pki {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for (ca, leaves) in [("ca", &["server", "client"][..]), ("other", &["stranger"])] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let cert = params.self_signed(&key).unwrap();
            std::fs::write(dir.path().join(format!("{ca}.pem")), cert.pem()).unwrap();
            let issuer = Issuer::new(params, key);
            for leaf in leaves {
                let key = KeyPair::generate().unwrap();
                let names = vec!["gateway.test".to_owned()];
                let cert = CertificateParams::new(names).unwrap().signed_by(&key, &issuer);
                let file = |kind: &str| dir.path().join(format!("{leaf}.{kind}"));
                std::fs::write(file("pem"), cert.unwrap().pem()).unwrap();
                std::fs::write(file("key"), key.serialize_pem()).unwrap();
            }
        }
        Self { dir }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn server(&self, client_ca: bool) -> ServerFiles {
        ServerFiles {
            cert_file: self.file("server.pem"),
            key_file: self.file("server.key"),
            client_ca_file: client_ca.then(|| self.file("ca.pem")),
            ..ServerFiles::default()
        }
    }

    async fn rig(&self, client_ca: bool) -> Rig {
        let mut settings = ServerSettings::grpc("");
        settings.tls = Some(server_config(&self.server(client_ca), &[b"h2"]).unwrap());
        settings.handshake_timeout = Duration::from_millis(500);
        Rig::start(settings).await
    }

    fn identity(&self, name: &str) -> Option<(PathBuf, PathBuf)> {
        Some((self.file(&format!("{name}.pem")), self.file(&format!("{name}.key"))))
    }

    fn trusting(&self) -> ClientFiles {
        ClientFiles { ca_file: Some(self.file("ca.pem")), ..ClientFiles::default() }
    }
}

async fn export(rig: &Rig, files: &ClientFiles, name: Option<&str>) -> Result<(), SendError> {
    let mut settings = ClientSettings::new(rig.addr().to_string());
    settings.tls = Some(client_config(files, &[b"h2"]).unwrap());
    settings.server_name = name.map(str::to_owned);
    let client = OtlpGrpcClient::new(settings).unwrap();
    for len in [10, 200_000] {
        client.export(Bytes::from(vec![7; len])).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_client_that_trusts_the_authority_gets_through() {
    let pki = Pki::new();
    let rig = pki.rig(false).await;
    for versions in [Versions::Both, Versions::Only12, Versions::Only13] {
        let files = ClientFiles { versions, ..pki.trusting() };
        export(&rig, &files, Some("gateway.test")).await.unwrap();
    }
    assert_eq!(rig.got(), 6);
}

#[tokio::test]
async fn whoever_cannot_be_checked_is_not_talked_to() {
    let pki = Pki::new();
    let rig = pki.rig(false).await;
    // The right authority, the wrong name: 127.0.0.1 is not in the certificate.
    let error = export(&rig, &pki.trusting(), None).await.unwrap_err();
    assert!(error.retryable && error.message.contains("certificate"), "{error}");
    let other = ClientFiles { ca_file: Some(pki.file("other.pem")), ..ClientFiles::default() };
    let error = export(&rig, &other, Some("gateway.test")).await.unwrap_err();
    assert!(error.message.contains("certificate"), "{error}");
    assert_eq!(rig.got(), 0);
    let careless = ClientFiles { insecure_skip_verify: true, ..ClientFiles::default() };
    export(&rig, &careless, None).await.unwrap();
}

#[tokio::test]
async fn mutual_tls_wants_a_certificate_of_its_authority() {
    let pki = Pki::new();
    let rig = pki.rig(true).await;
    let with = |name| ClientFiles { identity: pki.identity(name), ..pki.trusting() };
    export(&rig, &with("client"), Some("gateway.test")).await.unwrap();
    export(&rig, &pki.trusting(), Some("gateway.test")).await.unwrap_err();
    export(&rig, &with("stranger"), Some("gateway.test")).await.unwrap_err();
    assert_eq!(rig.got(), 2);
    assert!(rig.handle.stats().failed_handshakes() >= 2);
}

#[tokio::test]
async fn a_silent_handshake_ends() {
    let pki = Pki::new();
    let rig = pki.rig(false).await;
    let _silent = tokio::net::TcpStream::connect(rig.addr()).await.unwrap();
    until("it has given up", || rig.handle.stats().failed_handshakes() == 1).await;
    until("it is closed", || rig.handle.stats().open_connections() == 0).await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_handshake() {
    let pki = Pki::new();
    let mut settings = ServerSettings::grpc("");
    settings.tls = Some(server_config(&pki.server(false), &[b"h2"]).unwrap());
    let rig = Rig::start(settings).await;
    let _silent = tokio::net::TcpStream::connect(rig.addr()).await.unwrap();
    until("it is accepted", || rig.handle.stats().open_connections() == 1).await;
    let begun = Instant::now();
    rig.handle.shutdown(Duration::from_secs(20)).await;
    // Far below the five seconds that a handshake may take.
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[test]
fn errors_name_the_file_and_the_cause() {
    let pki = Pki::new();
    std::fs::write(pki.file("empty.pem"), "nothing here").unwrap();
    let base = pki.server(false);
    let table = [
        (ServerFiles { cert_file: pki.file("none.pem"), ..base.clone() }, "none.pem: No such"),
        (ServerFiles { cert_file: pki.file("empty.pem"), ..base.clone() }, "no certificate"),
        (ServerFiles { key_file: pki.file("server.pem"), ..base.clone() }, "no private key"),
        (ServerFiles { key_file: pki.file("client.key"), ..base.clone() }, "client.key: "),
        (ServerFiles { client_ca_file: Some(pki.file("empty.pem")), ..base }, "empty.pem: "),
    ];
    for (files, text) in table {
        let error = server_config(&files, &[]).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let files = ClientFiles { ca_file: Some(pki.file("gone.pem")), ..ClientFiles::default() };
    assert!(client_config(&files, &[]).unwrap_err().to_string().contains("gone.pem"));
}
