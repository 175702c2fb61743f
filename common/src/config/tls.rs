//! The collector's `tls` blocks. Files are named here and read when they are needed.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;
use crate::reload::DEFAULT_INTERVAL;

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
    /// DNS names or addresses of which a client's certificate must have one; none: any client of
    /// the authorities. Not a key of the collector.
    pub allowed_client_names: Vec<String>,
    /// The least version taken.
    pub min_version: TlsVersion,
    /// The highest version taken.
    pub max_version: TlsVersion,
    /// How often the files are looked at (`reload_interval`); default 10 s, where the collector
    /// never does.
    pub reload: Duration,
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
    /// The system's authorities are trusted as well; default false.
    pub include_system_roots: bool,
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
    /// How often the files are looked at (`reload_interval`); default 10 s, where the collector
    /// never does.
    pub reload: Duration,
}

const PEM_HELP: &str = "put the PEM text into a file and name it with the `_file` key";

// === impl ServerTls ===

impl ServerTls {
    /// Reads a `tls` block; `None` after an error.
    pub(super) fn read(r: &Reader<'_>) -> Option<Self> {
        let (min_version, max_version, reload) = common(r);
        r.accept(
            &["ca_file"],
            "has no effect on a listener, as in the collector: see client_ca_file",
        );
        r.accept(&["include_system_ca_certs_pool"], "has no effect on a listener");
        r.accept(&["client_ca_file_reload"], "not needed: all files are looked at again");
        let client_ca_file = path(r, "client_ca_file");
        let allowed_client_names = r.strings("allowed_client_names");
        if !allowed_client_names.is_empty() && client_ca_file.is_none() {
            let help = "give client_ca_file, so that clients have to show a certificate";
            r.error("allowed_client_names", "needs an authority to believe", help);
        }
        let (cert_file, key_file) = pair(r);
        let (Some(cert_file), Some(key_file)) = (cert_file, key_file) else {
            if !r.has("cert_file") && !r.has("key_file") {
                let help = "give cert_file and key_file, or leave out tls";
                r.error("cert_file", "is missing", help);
            }
            return None;
        };
        Some(Self {
            cert_file,
            key_file,
            client_ca_file,
            allowed_client_names,
            min_version,
            max_version,
            reload,
        })
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Reads a `tls` block; defaults if it is empty.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        let (min_version, max_version, reload) = common(r);
        let (cert_file, key_file) = pair(r);
        Self {
            insecure: r.bool_or("insecure", false),
            insecure_skip_verify: r.bool_or("insecure_skip_verify", false),
            ca_file: path(r, "ca_file"),
            include_system_roots: r.bool_or("include_system_ca_certs_pool", false),
            cert_file,
            key_file,
            server_name_override: r.string_or("server_name_override", ""),
            min_version,
            max_version,
            reload,
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

fn common(r: &Reader<'_>) -> (TlsVersion, TlsVersion, Duration) {
    r.refuse(&["ca_pem", "cert_pem", "key_pem"], PEM_HELP);
    r.refuse(
        &["cipher_suites", "curve_preferences"],
        "leave it out: the choice is modern and safe",
    );
    r.refuse(&["tpm"], "use key_file");
    let min = version(r, "min_version").unwrap_or(TlsVersion::V12);
    let max = version(r, "max_version").unwrap_or(TlsVersion::V13);
    if min > max {
        r.error("max_version", "is below min_version", "raise it or leave it out");
    }
    let reload = r.duration_or("reload_interval", Duration::ZERO);
    (min, max, if reload.is_zero() { DEFAULT_INTERVAL } else { reload })
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
