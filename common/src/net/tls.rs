//! TLS from PEM files: rustls with aws-lc-rs, TLS 1.2 and 1.3 only.

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use self::verify::{AnyServer, NamedClients};
use crate::reload::{DEFAULT_INTERVAL, Reloaded};

/// A server's configuration, made again when its files change. Connections that are open stay as they are.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Reloaded<Arc<ServerConfig>>>);

/// A client's, likewise.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<Reloaded<Arc<ClientConfig>>>);

/// Files of something that listens.
#[derive(Clone, Debug, Default)]
pub struct ServerFiles {
    /// The certificate chain.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
    /// Authorities of clients; if given, a client must show a certificate of theirs.
    pub client_ca_file: Option<PathBuf>,
    /// Names of which a client's certificate must have one; none: any of the authorities' clients.
    pub allowed_client_names: Vec<String>,
    /// The versions taken.
    pub versions: Versions,
    /// How often the files are looked at.
    pub reload: Duration,
}

/// Files and checks of something that connects.
#[derive(Clone, Debug)]
pub struct ClientFiles {
    /// Authorities to trust; the system's if not given.
    pub ca_file: Option<PathBuf>,
    /// Trusts the system's authorities as well.
    pub include_system_roots: bool,
    /// The client's certificate chain and private key, if the server asks for them.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Does not check who answers.
    pub insecure_skip_verify: bool,
    /// The versions offered.
    pub versions: Versions,
    /// How often the files are looked at.
    pub reload: Duration,
}

/// Versions of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 only.
    Only12,
    /// 1.3 only.
    Only13,
}

/// Why there is no TLS configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM file can't be used.
    #[error("{}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
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

static ONLY_12: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS12];
static ONLY_13: [&SupportedProtocolVersion; 1] = [&rustls::version::TLS13];

/// A server's configuration. `alpn` in order of preference.
pub fn server_config(files: &ServerFiles, alpn: &[&[u8]]) -> Result<ServerTls, TlsError> {
    let named = [Some(&files.cert_file), Some(&files.key_file), files.client_ca_file.as_ref()];
    let watched = named.into_iter().flatten().cloned().collect();
    let (interval, files, alpn) = (files.reload, files.clone(), owned(alpn));
    let load = move || load_server(&files, &alpn);
    Ok(ServerTls(Arc::new(Reloaded::new(watched, interval, load)?)))
}

/// A client's configuration. `alpn` in order of preference.
pub fn client_config(files: &ClientFiles, alpn: &[&[u8]]) -> Result<ClientTls, TlsError> {
    let identity = files.identity.iter().flat_map(|(cert, key)| [cert, key]);
    let watched = identity.chain(&files.ca_file).cloned().collect();
    let (interval, files, alpn) = (files.reload, files.clone(), owned(alpn));
    let load = move || load_client(&files, &alpn);
    Ok(ClientTls(Arc::new(Reloaded::new(watched, interval, load)?)))
}

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|p| p.to_vec()).collect()
}

fn load_server(files: &ServerFiles, alpn: &[Vec<u8>]) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(files.versions.list())?;
    let builder = match &files.client_ca_file {
        Some(ca) => {
            let verifier = client_verifier(ca, &files.allowed_client_names, provider)?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = (read_certs(&files.cert_file)?, read_key(&files.key_file)?);
    // What can be wrong here is that key and certificate are not a pair.
    let config = builder.with_single_cert(chain, key);
    let mut config = config.map_err(|e| in_file(&files.key_file, e))?;
    config.alpn_protocols = alpn.to_vec();
    Ok(Arc::new(config))
}

fn load_client(files: &ClientFiles, alpn: &[Vec<u8>]) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(files.versions.list())?;
    let builder = if files.insecure_skip_verify {
        let verifier = Arc::new(AnyServer(provider));
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        let mut roots = match &files.ca_file {
            Some(file) => read_roots(file)?,
            None => system_roots()?,
        };
        if files.include_system_roots {
            roots.extend(system_roots()?.roots);
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider);
        let verifier = verifier.build().map_err(|e| TlsError::NoSystemRoots(e.to_string()))?;
        builder.with_webpki_verifier(verifier)
    };
    let mut config = match &files.identity {
        Some((cert, key)) => builder
            .with_client_auth_cert(read_certs(cert)?, read_key(key)?)
            .map_err(|e| in_file(key, e))?,
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.to_vec();
    Ok(Arc::new(config))
}

fn client_verifier(
    ca: &Path,
    names: &[String],
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::new(read_roots(ca)?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
    let verifier = verifier.build().map_err(|e| in_file(ca, e))?;
    if names.is_empty() {
        return Ok(verifier);
    }
    let parse = |name: &String| {
        let parsed = ServerName::try_from(name.clone());
        parsed.map_err(|_| TlsError::ClientName(name.clone()))
    };
    let names = names.iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Arc::new(NamedClients { verifier, names }))
}

fn read_certs(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certs = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<_, _>>);
    let certs: Vec<_> = certs.map_err(|e| in_pem(file, e))?;
    if certs.is_empty() { Err(in_file(file, "no certificate in it")) } else { Ok(certs) }
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|e| match e {
        pem::Error::NoItemsFound => in_file(file, "no private key in it"),
        e => in_pem(file, e),
    })
}

fn read_roots(file: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for cert in read_certs(file)? {
        roots.add(cert).map_err(|e| in_file(file, e))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that rustls does not take; the others are enough.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let errors: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoSystemRoots(errors.join("; ")));
    }
    Ok(roots)
}

fn in_pem(file: &Path, error: pem::Error) -> TlsError {
    match error {
        pem::Error::Io(e) => in_file(file, e),
        e => in_file(file, format!("not PEM: {e}")),
    }
}

fn in_file(file: &Path, cause: impl ToString) -> TlsError {
    TlsError::File { file: file.to_owned(), cause: cause.to_string() }
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

// === impl ClientFiles ===

impl Default for ClientFiles {
    fn default() -> Self {
        Self {
            ca_file: None,
            include_system_roots: false,
            identity: None,
            insecure_skip_verify: false,
            versions: Versions::default(),
            reload: DEFAULT_INTERVAL,
        }
    }
}

// === impl Versions ===

impl Versions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Both => rustls::ALL_VERSIONS,
            Self::Only12 => &ONLY_12,
            Self::Only13 => &ONLY_13,
        }
    }
}
