//! The collector's `tls` blocks (`configtls`, v0.161). Files are named here and read when they are
//! needed.

use std::path::PathBuf;
use std::time::Duration;

use rustls::{CipherSuite, NamedGroup};

use super::item::Item;
use super::reader::Reader;
use super::secret::SecretSource;
use crate::net::tls::names;
use crate::reload::DEFAULT_INTERVAL;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}

/// What both sides' `tls` blocks say about the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsTerms {
    /// The least version taken.
    pub min_version: TlsVersion,
    /// The highest version taken.
    pub max_version: TlsVersion,
    /// The suites of TLS 1.2 (`cipher_suites`); empty = all. Those of 1.3 are always on, as in Go.
    pub cipher_suites: Vec<CipherSuite>,
    /// Groups of the key exchange (`curve_preferences`), the best first; empty = all.
    pub groups: Vec<NamedGroup>,
    /// The system's authorities are trusted beside those that are named
    /// (`include_system_ca_certs_pool`); default false.
    pub include_system_roots: bool,
    /// How often the files are looked at (`reload_interval`); default 10 s, where the collector
    /// never does.
    pub reload: Duration,
}

/// `tls` of something that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate chain, PEM.
    pub cert: SecretSource,
    /// The private key, PEM.
    pub key: SecretSource,
    /// The authorities of clients; if given, clients must present a certificate.
    pub client_ca: Option<SecretSource>,
    /// DNS names or addresses of which a client's certificate must have one; none: any client of
    /// the authorities. Not a key of the collector.
    pub allowed_client_names: Vec<String>,
    /// Versions and the like.
    pub terms: TlsTerms,
}

/// `tls` of something that connects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// No TLS at all. A scheme in the endpoint decides instead: `http://` true, `https://` false.
    pub insecure: bool,
    /// TLS without checking who answers.
    pub insecure_skip_verify: bool,
    /// The authorities to trust, PEM; the system's if not given.
    pub ca: Option<SecretSource>,
    /// The client's certificate chain and its private key, PEM, if the server asks for them.
    pub identity: Option<(SecretSource, SecretSource)>,
    /// Name to ask for and check instead of the endpoint's host; empty = the host.
    pub server_name_override: String,
    /// Versions and the like.
    pub terms: TlsTerms,
}

// === impl TlsTerms ===

impl TlsTerms {
    fn read(r: &Reader<'_>) -> Self {
        if let Some(tpm) = r.map("tpm") {
            if tpm.bool_or("enabled", false) {
                tpm.error("enabled", "keys in a TPM are not supported", "use key_file");
            }
            tpm.ignore_rest();
        }
        let min_version = version(r, "min_version").unwrap_or(TlsVersion::V12);
        let max_version = version(r, "max_version").unwrap_or(TlsVersion::V13);
        if min_version > max_version {
            r.error("max_version", "is below min_version", "raise it or leave it out");
        }
        if r.bool_or("include_insecure_cipher_suites", false) {
            let help = "leave it out: there are no insecure suites here";
            r.error("include_insecure_cipher_suites", "is not supported", help);
        }
        let reload = r.duration_or("reload_interval", Duration::ZERO);
        let list = |key| r.list(key).into_iter();
        Self {
            min_version,
            max_version,
            cipher_suites: list("cipher_suites").filter_map(|i| cipher_suite(&i)).collect(),
            groups: list("curve_preferences").filter_map(|i| group(&i)).collect(),
            include_system_roots: r.bool_or("include_system_ca_certs_pool", false),
            reload: if reload.is_zero() { DEFAULT_INTERVAL } else { reload },
        }
    }
}

impl Default for TlsTerms {
    fn default() -> Self {
        Self {
            min_version: TlsVersion::V12,
            max_version: TlsVersion::V13,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            include_system_roots: false,
            reload: DEFAULT_INTERVAL,
        }
    }
}

// === impl ServerTls ===

impl ServerTls {
    /// A certificate chain with its key, and the usual rest.
    pub fn new(cert: SecretSource, key: SecretSource) -> Self {
        let (allowed_client_names, terms) = (Vec::new(), TlsTerms::default());
        Self { cert, key, client_ca: None, allowed_client_names, terms }
    }

    /// Reads a `tls` block; `None` after an error.
    pub(super) fn read(r: &Reader<'_>) -> Option<Self> {
        let terms = TlsTerms::read(r);
        r.accept(
            &["ca_file", "ca_pem"],
            "has no effect on a listener, as in the collector: see client_ca_file",
        );
        r.accept(&["client_ca_file_reload"], "not needed: all files are looked at again");
        let client_ca = file(r, "client_ca_file");
        let allowed_client_names = allowed_names(r);
        if !allowed_client_names.is_empty() && client_ca.is_none() {
            let help = "give client_ca_file, so that clients have to show a certificate";
            r.error("allowed_client_names", "needs an authority to believe", help);
        }
        let Some((cert, key)) = identity(r) else {
            if !has_identity(r) {
                let help = "give cert_file and key_file, or leave out tls";
                r.error("cert_file", "is missing", help);
            }
            return None;
        };
        Some(Self { cert, key, client_ca, allowed_client_names, terms })
    }
}

// === impl ClientTls ===

impl ClientTls {
    /// Reads a `tls` block; defaults if it is empty.
    pub(super) fn read(r: &Reader<'_>) -> Self {
        let (ca, mut insecure) = (pem(r, "ca_file", "ca_pem"), r.bool_or("insecure", false));
        if insecure && ca.is_some() {
            r.note("insecure", "has no effect beside an authority, as in the collector");
            insecure = false;
        }
        Self {
            insecure,
            insecure_skip_verify: r.bool_or("insecure_skip_verify", false),
            ca,
            identity: identity(r),
            server_name_override: r.string_or("server_name_override", ""),
            terms: TlsTerms::read(r),
        }
    }
}

/// `tls` between members: mutual, with the same certificate in both directions; `None` after an
/// error.
pub(super) fn read_mutual(r: &Reader<'_>) -> Option<(ServerTls, ClientTls)> {
    let help = "leave it out: both sides check each other here";
    r.refuse(&["insecure", "insecure_skip_verify"], help);
    r.accept(&["client_ca_file_reload"], "not needed: all files are looked at again");
    let client = ClientTls::read(r);
    let allowed_client_names = allowed_names(r);
    let missing = |key| r.error(key, "is missing", "give ca_file, cert_file and key_file");
    let Some((cert, key)) = client.identity.clone() else {
        if !has_identity(r) {
            missing("cert_file");
        }
        return None;
    };
    if client.ca.is_none() {
        missing("ca_file");
        return None;
    }
    let client_ca = file(r, "client_ca_file").or(client.ca.clone());
    let terms = client.terms.clone();
    Some((ServerTls { cert, key, client_ca, allowed_client_names, terms }, client))
}

/// An optional path; empty text counts as none.
pub(super) fn path(r: &Reader<'_>, key: &'static str) -> Option<PathBuf> {
    Some(r.string_or(key, "")).filter(|p| !p.is_empty()).map(PathBuf::from)
}

fn file(r: &Reader<'_>, key: &'static str) -> Option<SecretSource> {
    path(r, key).map(SecretSource::File)
}

/// PEM text by one of two keys.
fn pem(r: &Reader<'_>, by_path: &'static str, inline: &'static str) -> Option<SecretSource> {
    let (file, text) = (file(r, by_path), r.secret(inline));
    match (file, text.is_empty()) {
        (Some(file), true) => Some(file),
        (Some(file), false) => {
            r.error(by_path, &format!("{inline} is given too"), "keep one of them");
            Some(file)
        }
        (None, true) => None,
        (None, false) => Some(SecretSource::Inline(text)),
    }
}

fn has_identity(r: &Reader<'_>) -> bool {
    ["cert_file", "cert_pem", "key_file", "key_pem"].into_iter().any(|key| r.has(key))
}

/// A certificate and its key: both or neither.
fn identity(r: &Reader<'_>) -> Option<(SecretSource, SecretSource)> {
    match (pem(r, "cert_file", "cert_pem"), pem(r, "key_file", "key_pem")) {
        (Some(cert), Some(key)) => return Some((cert, key)),
        (Some(_), None) => r.error("key_file", "is missing", "give the key of the certificate"),
        (None, Some(_)) => r.error("cert_file", "is missing", "give the certificate of the key"),
        (None, None) => {}
    }
    None
}

fn allowed_names(r: &Reader<'_>) -> Vec<String> {
    let mut names = r.strings("allowed_client_names");
    names.retain(|name| {
        let good = names::certificate_name(name).is_some();
        if !good {
            let what = format!("{name:?} is not a DNS name or address that a certificate can have");
            r.error("allowed_client_names", &what, "write names such as agent.example.com");
        }
        good
    });
    names
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

fn cipher_suite(item: &Item<'_>) -> Option<CipherSuite> {
    let name = item.string()?;
    let found = names::cipher_suite(&name);
    if found.is_none() {
        let help = "leave cipher_suites out, or use a suite with forward secrecy and AES-GCM or \
                    ChaCha20, such as TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
        item.error(&format!("{name:?} is no suite that is taken"), help);
    }
    found
}

fn group(item: &Item<'_>) -> Option<NamedGroup> {
    let name = item.string()?;
    let found = names::group(&name);
    if found.is_none() {
        let help = format!("leave it out, or use {}", names::GROUPS.map(|(n, _)| n).join(", "));
        item.error(&format!("{name:?} is no curve that is taken"), &help);
    }
    found
}
