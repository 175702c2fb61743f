//! TLS from PEM: rustls with aws-lc-rs, TLS 1.2 and 1.3 only.

pub(crate) mod names;
mod pem;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, ServerConfig};

use self::verify::{AnyServer, NamedClients};
use crate::config::{self, SecretSource};
use crate::reload::{Made, Reloaded};

/// A server's configuration, made again when its files change. Connections that are open stay as
/// they are.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Reloaded<Arc<ServerConfig>>>);

/// A client's, likewise.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Reloaded<Arc<ClientConfig>>>);

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// PEM text can't be used.
    #[error("{place}: {cause}")]
    Pem {
        /// The file, or the key of the configuration.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The system has no certificate authorities that we can read.
    #[error("no certificate authorities found on this system; name a ca_file ({0})")]
    NoSystemRoots(String),
    /// A name that no certificate can have.
    #[error("{0:?} is not a DNS name or address that a certificate can have")]
    ClientName(String),
    /// rustls refuses the combination.
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
}

/// A server's configuration. `alpn` in order of preference.
pub fn server_config(tls: &config::ServerTls, alpn: &[&[u8]]) -> Result<ServerTls, TlsError> {
    let files = files([Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()]);
    let (interval, tls, alpn) = (tls.terms.reload, tls.clone(), owned(alpn));
    let load = move || load_server(&tls, &alpn);
    Ok(ServerTls(Arc::new(Reloaded::new(files, interval, load)?)))
}

/// A client's configuration. `alpn` in order of preference.
pub fn client_config(tls: &config::ClientTls, alpn: &[&[u8]]) -> Result<ClientTls, TlsError> {
    let (cert, key) = tls.identity.as_ref().map(|(cert, key)| (cert, key)).unzip();
    let files = files([cert, key, tls.ca.as_ref()]);
    let (interval, tls, alpn) = (tls.terms.reload, tls.clone(), owned(alpn));
    let load = move || load_client(&tls, &alpn);
    Ok(ClientTls(Arc::new(Reloaded::new(files, interval, load)?)))
}

fn files<const N: usize>(sources: [Option<&SecretSource>; N]) -> Vec<PathBuf> {
    sources.into_iter().flatten().filter_map(SecretSource::file).cloned().collect()
}

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|p| p.to_vec()).collect()
}

type Loaded<T> = Result<Made<Arc<T>>, TlsError>;

fn load_server(tls: &config::ServerTls, alpn: &[Vec<u8>]) -> Loaded<ServerConfig> {
    let provider = names::provider(&tls.terms);
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(names::versions(&tls.terms))?;
    let builder = match &tls.client_ca {
        Some(ca) => builder.with_client_cert_verifier(client_verifier(tls, ca, provider)?),
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = (pem::certs(&tls.cert, "cert_pem")?, pem::key(&tls.key)?);
    let expiry = pem::not_after(&chain);
    // What can be wrong here is that key and certificate are not a pair.
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|e| pem::failed(&tls.key, "key_pem", e.to_string()))?;
    config.alpn_protocols = alpn.to_vec();
    Ok(Made { value: Arc::new(config), expiry })
}

fn load_client(tls: &config::ClientTls, alpn: &[Vec<u8>]) -> Loaded<ClientConfig> {
    let provider = names::provider(&tls.terms);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(names::versions(&tls.terms))?;
    let builder = if tls.insecure_skip_verify {
        let verifier = Arc::new(AnyServer(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        let roots = match &tls.ca {
            Some(ca) => pem::roots(ca, "ca_pem", tls.terms.include_system_roots)?,
            None => pem::system_roots()?,
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().map_err(|e| TlsError::NoSystemRoots(e.to_string()))?;
        builder.with_webpki_verifier(verifier)
    };
    let mut expiry = None;
    let mut config = match &tls.identity {
        Some((cert, key)) => {
            let chain = pem::certs(cert, "cert_pem")?;
            expiry = pem::not_after(&chain);
            builder
                .with_client_auth_cert(chain, pem::key(key)?)
                .map_err(|e| pem::failed(key, "key_pem", e.to_string()))?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.to_vec();
    Ok(Made { value: Arc::new(config), expiry })
}

fn client_verifier(
    tls: &config::ServerTls,
    ca: &SecretSource,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(pem::roots(ca, "ca_pem", tls.terms.include_system_roots)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let verifier = verifier.build().map_err(|e| pem::failed(ca, "ca_pem", e.to_string()))?;
    if tls.allowed_client_names.is_empty() {
        return Ok(verifier);
    }
    let parse = |name: &String| {
        names::certificate_name(name).ok_or_else(|| TlsError::ClientName(name.clone()))
    };
    let names = tls.allowed_client_names.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Arc::new(NamedClients { verifier, names }))
}

// === impl ServerTls ===

impl ServerTls {
    /// What a new connection gets.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.0.get().as_ref().clone()
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// What a new connection gets.
    pub fn current(&self) -> Arc<ClientConfig> {
        self.0.get().as_ref().clone()
    }
}
