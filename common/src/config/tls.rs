//! The collector's `tls` blocks. Files are named here and read when they are needed.

use std::path::PathBuf;

use super::reader::Reader;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// `tls` of something that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// PEM file with the certificate chain.
    pub cert_file: PathBuf,
    /// PEM file with the private key.
    pub key_file: PathBuf,
    /// PEM file with the authorities of clients; if given, clients must present a certificate.
    pub client_ca_file: Option<PathBuf>,
    /// The least version taken.
    pub min_version: TlsVersion,
    /// The highest version taken.
    pub max_version: TlsVersion,
}

/// `tls` of something that connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTls {
    /// No TLS at all. A scheme in the endpoint decides instead: `http://` true, `https://` false.
    pub insecure: bool,
    /// TLS without checking who answers.
    pub insecure_skip_verify: bool,
    /// PEM file with the authorities to trust; the system's if not given.
    pub ca_file: Option<PathBuf>,
    /// PEM file with the client's certificate chain; together with `key_file`.
    pub cert_file: Option<PathBuf>,
    /// PEM file with the client's private key.
    pub key_file: Option<PathBuf>,
    /// Name to ask for and check instead of the endpoint's host; empty = the host.
    pub server_name_override: String,
    /// The least version taken.
    pub min_version: TlsVersion,
    /// The highest version taken.
    pub max_version: TlsVersion,
}

const PEM_HELP: &str = "put the PEM text into a file and name it with the `_file` key";

// === impl ServerTls ===

impl ServerTls {
    /// Reads a `tls` block; `None` after an error.
    pub(super) fn read(r: &Reader<'_>) -> Option<Self> {
        let (min_version, max_version) = common(r);
        r.accept(&["ca_file", "client_ca_file_reload"], "has no effect on a listener yet");
        let client_ca_file = path(r, "client_ca_file");
        let (cert_file, key_file) = pair(r);
        let (Some(cert_file), Some(key_file)) = (cert_file, key_file) else {
            if !r.has("cert_file") && !r.has("key_file") {
                let help = "give cert_file and key_file, or leave out tls";
                r.error("cert_file", "is missing", help);
            }
            return None;
        };
        Some(Self { cert_file, key_file, client_ca_file, min_version, max_version })
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Reads a `tls` block; defaults if it is empty.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        let (min_version, max_version) = common(r);
        let (cert_file, key_file) = pair(r);
        Self {
            insecure: r.bool_or("insecure", false),
            insecure_skip_verify: r.bool_or("insecure_skip_verify", false),
            ca_file: path(r, "ca_file"),
            cert_file,
            key_file,
            server_name_override: r.string_or("server_name_override", ""),
            min_version,
            max_version,
        }
    }
}

/// An optional path; empty text counts as none.
pub(super) fn path(r: &Reader<'_>, key: &'static str) -> Option<PathBuf> {
    Some(r.string_or(key, "")).filter(|p| !p.is_empty()).map(PathBuf::from)
}

/// A certificate and its key: both or neither.
pub(super) fn pair(r: &Reader<'_>) -> (Option<PathBuf>, Option<PathBuf>) {
    let (cert, key) = (path(r, "cert_file"), path(r, "key_file"));
    match (&cert, &key) {
        (Some(_), None) => r.error("key_file", "is missing", "give the key of cert_file"),
        (None, Some(_)) => r.error("cert_file", "is missing", "give the certificate of key_file"),
        _ => {}
    }
    (cert, key)
}

fn common(r: &Reader<'_>) -> (TlsVersion, TlsVersion) {
    r.refuse(&["ca_pem", "cert_pem", "key_pem"], PEM_HELP);
    r.refuse(
        &["cipher_suites", "curve_preferences"],
        "leave it out: the choice is modern and safe",
    );
    r.refuse(&["tpm"], "use key_file");
    r.accept(&["reload_interval"], "has no effect yet: certificates are read at start");
    r.accept(&["include_system_ca_certs_pool"], "has no effect yet");
    let min = version(r, "min_version").unwrap_or(TlsVersion::V12);
    let max = version(r, "max_version").unwrap_or(TlsVersion::V13);
    if min > max {
        r.error("max_version", "is below min_version", "raise it or leave it out");
    }
    (min, max)
}

fn version(r: &Reader<'_>, key: &'static str) -> Option<TlsVersion> {
    let item = r.take(key)?;
    match item.string()?.as_str() {
        "" => None,
        "1.2" => Some(TlsVersion::V12),
        "1.3" => Some(TlsVersion::V13),
        text => {
            let what = format!("TLS {text:?} is not supported");
            item.error(&what, "use \"1.2\" or \"1.3\"");
            None
        }
    }
}
