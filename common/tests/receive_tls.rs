//! TLS and mTLS, with certificates made here.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{CipherSuite, NamedGroup};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use support::{Rig, until};
use tailgate_common::client::{ClientSettings, OtlpGrpcClient, SendError};
use tailgate_common::config::{ClientTls, Secret, SecretSource, ServerTls, TlsTerms, TlsVersion};
use tailgate_common::net::tls::{client_config, server_config};
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

    fn server(&self, client_ca: bool) -> ServerTls {
        ServerTls {
            client_ca: client_ca.then(|| self.pem("ca.pem")),
            ..ServerTls::new(self.pem("server.pem"), self.pem("server.key"))
        }
    }

    fn settings(&self, client_ca: bool) -> ServerSettings {
        let tls = Some(server_config(&self.server(client_ca), &[b"h2"]).unwrap());
        ServerSettings { tls, ..ServerSettings::grpc("") }
    }

    async fn rig(&self, client_ca: bool) -> Rig {
        Rig::start(self.settings(client_ca)).await
    }

    fn pem(&self, name: &str) -> SecretSource {
        SecretSource::File(self.file(name))
    }

    fn identity(&self, name: &str) -> Option<(SecretSource, SecretSource)> {
        Some((self.pem(&format!("{name}.pem")), self.pem(&format!("{name}.key"))))
    }

    fn trusting(&self) -> ClientTls {
        ClientTls { ca: Some(self.pem("ca.pem")), ..ClientTls::default() }
    }
}

async fn export(rig: &Rig, files: &ClientTls, name: Option<&str>) -> Result<(), SendError> {
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
    let (old, new) = (TlsVersion::V12, TlsVersion::V13);
    for (min_version, max_version) in [(old, new), (old, old), (new, new)] {
        let terms = TlsTerms { min_version, max_version, ..TlsTerms::default() };
        let files = ClientTls { terms, ..pki.trusting() };
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
    let other = ClientTls { ca: Some(pki.pem("other.pem")), ..ClientTls::default() };
    let error = export(&rig, &other, Some("gateway.test")).await.unwrap_err();
    assert!(error.message.contains("certificate"), "{error}");
    assert_eq!(rig.got(), 0);
    let careless = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    export(&rig, &careless, None).await.unwrap();
}

#[tokio::test]
async fn mutual_tls_wants_a_certificate_of_its_authority() {
    let pki = Pki::new();
    let rig = pki.rig(true).await;
    let with = |name| ClientTls { identity: pki.identity(name), ..pki.trusting() };
    export(&rig, &with("client"), Some("gateway.test")).await.unwrap();
    export(&rig, &pki.trusting(), Some("gateway.test")).await.unwrap_err();
    export(&rig, &with("stranger"), Some("gateway.test")).await.unwrap_err();
    assert_eq!(rig.got(), 2);
    assert!(rig.handle.stats().failed_handshakes() >= 2);
}

#[tokio::test]
async fn only_clients_with_an_allowed_name_get_through() {
    let pki = Pki::new();
    for (allowed, gets_in) in [("gateway.test", true), ("*.test", false), ("other.test", false)] {
        let mut tls = pki.server(true);
        tls.allowed_client_names = vec!["10.0.0.1".to_owned(), allowed.to_owned()];
        let Ok(config) = server_config(&tls, &[b"h2"]) else {
            assert_eq!(allowed, "*.test");
            continue;
        };
        let mut settings = ServerSettings::grpc("");
        settings.tls = Some(config);
        let rig = Rig::start(settings).await;
        let client = ClientTls { identity: pki.identity("client"), ..pki.trusting() };
        let sent = export(&rig, &client, Some("gateway.test")).await;
        assert_eq!(sent.is_ok(), gets_in, "{sent:?}");
        assert_eq!(rig.handle.stats().failed_handshakes(), u64::from(!gets_in));
    }
}

#[tokio::test]
async fn suites_and_groups_are_those_of_both_sides() {
    let pki = Pki::new();
    let mut tls = pki.server(false);
    tls.terms.max_version = TlsVersion::V12;
    tls.terms.cipher_suites = vec![CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384];
    tls.terms.groups = vec![NamedGroup::secp384r1];
    let mut settings = ServerSettings::grpc("");
    settings.tls = Some(server_config(&tls, &[b"h2"]).unwrap());
    let rig = Rig::start(settings).await;
    export(&rig, &pki.trusting(), Some("gateway.test")).await.unwrap();
    let other = |change: fn(&mut TlsTerms)| {
        let mut client = pki.trusting();
        change(&mut client.terms);
        client
    };
    let suite = other(|terms| {
        terms.cipher_suites = vec![CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    });
    let group = other(|terms| terms.groups = vec![NamedGroup::X25519]);
    let version = other(|terms| terms.min_version = TlsVersion::V13);
    for client in [suite, group, version] {
        export(&rig, &client, Some("gateway.test")).await.unwrap_err();
    }
}

#[tokio::test]
async fn pem_text_may_stand_in_the_configuration() {
    let pki = Pki::new();
    let text = |name| {
        let text = std::fs::read_to_string(pki.file(name)).unwrap();
        SecretSource::Inline(Secret::new(text))
    };
    let mut settings = ServerSettings::grpc("");
    let tls = ServerTls::new(text("server.pem"), text("server.key"));
    settings.tls = Some(server_config(&tls, &[b"h2"]).unwrap());
    let rig = Rig::start(settings).await;
    let client = ClientTls { ca: Some(text("ca.pem")), ..ClientTls::default() };
    export(&rig, &client, Some("gateway.test")).await.unwrap();
    let swapped = ServerTls::new(text("server.key"), text("server.pem"));
    let error = server_config(&swapped, &[]).unwrap_err().to_string();
    assert_eq!(error, "cert_pem: no certificate in it");
}

#[tokio::test]
async fn a_silent_handshake_ends() {
    let pki = Pki::new();
    let handshake_timeout = Duration::from_millis(500);
    let rig = Rig::start(ServerSettings { handshake_timeout, ..pki.settings(false) }).await;
    let _silent = tokio::net::TcpStream::connect(rig.addr()).await.unwrap();
    until("it has given up", || rig.handle.stats().failed_handshakes() == 1).await;
    until("it is closed", || rig.handle.stats().open_connections() == 0).await;
}

#[tokio::test]
async fn shutdown_does_not_wait_for_a_handshake() {
    let pki = Pki::new();
    let rig = pki.rig(false).await;
    let _silent = tokio::net::TcpStream::connect(rig.addr()).await.unwrap();
    until("it is accepted", || rig.handle.stats().open_connections() == 1).await;
    let begun = Instant::now();
    rig.handle.shutdown(Duration::from_secs(20)).await;
    // Far below the five seconds that a handshake may take.
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn errors_name_the_file_and_the_cause() {
    let pki = Pki::new();
    std::fs::write(pki.file("empty.pem"), "nothing here").unwrap();
    let base = pki.server(false);
    let table = [
        (ServerTls { cert: pki.pem("none.pem"), ..base.clone() }, "none.pem: No such"),
        (ServerTls { cert: pki.pem("empty.pem"), ..base.clone() }, "no certificate"),
        (ServerTls { key: pki.pem("server.pem"), ..base.clone() }, "no private key"),
        (ServerTls { key: pki.pem("client.key"), ..base.clone() }, "client.key: "),
        (ServerTls { client_ca: Some(pki.pem("empty.pem")), ..base }, "empty.pem: "),
    ];
    for (files, text) in table {
        let error = server_config(&files, &[]).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    let files = ClientTls { ca: Some(pki.pem("gone.pem")), ..ClientTls::default() };
    assert!(client_config(&files, &[]).unwrap_err().to_string().contains("gone.pem"));
}
