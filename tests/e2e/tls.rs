//! Certificates, and a way for clients that speak no TLS to servers that do.

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rcgen::{ExtendedKeyUsagePurpose, KeyUsagePurpose};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsConnector;

/// An authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// Takes plain connections and passes them on over TLS; ends when dropped.
pub struct Tunnel {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

// === impl Authority ===

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Clients tell it from what it signs by this.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key).unwrap();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// Its own certificate, PEM.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for 127.0.0.1 and its key, PEM.
    pub fn identity(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// A client that trusts this authority alone.
    fn client(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

// === impl Tunnel ===

impl Tunnel {
    /// To `target`, whose certificate must be of this authority.
    pub async fn start(authority: &Authority, alpn: &[&[u8]], target: SocketAddr) -> Tunnel {
        let connector = TlsConnector::from(Arc::new(authority.client(alpn)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((plain, _)) = listener.accept().await {
                connections.spawn(pass(plain, connector.clone(), target));
                while connections.try_join_next().is_some() {}
            }
        });
        Tunnel { addr, task }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut plain: TcpStream, connector: TlsConnector, target: SocketAddr) {
    let Ok(tcp) = TcpStream::connect(target).await else { return };
    let _ = (tcp.set_nodelay(true), plain.set_nodelay(true));
    let name = ServerName::IpAddress(target.ip().into());
    let Ok(mut tls) = connector.connect(name, tcp).await else { return };
    let _ = tokio::io::copy_bidirectional(&mut plain, &mut tls).await;
}
