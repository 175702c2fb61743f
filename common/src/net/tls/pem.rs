//! Certificates and keys out of PEM text.

use rustls::RootCertStore;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::parse_x509_certificate;

use super::TlsError;
use crate::config::SecretSource;

/// A chain, its end first; `key` is what the text is called if it has no file.
pub(super) fn certs(
    source: &SecretSource,
    key: &str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fail = |cause: String| failed(source, key, cause);
    let text = source.read().map_err(|e| fail(e.to_string()))?;
    let certs = CertificateDer::pem_slice_iter(text.expose().as_bytes());
    let certs: Vec<_> = certs.collect::<Result<_, _>>().map_err(|e| fail(not_pem(&e)))?;
    match certs.is_empty() {
        true => Err(fail("no certificate in it".to_owned())),
        false => Ok(certs),
    }
}

/// A private key.
pub(super) fn key(source: &SecretSource) -> Result<PrivateKeyDer<'static>, TlsError> {
    let fail = |cause: String| failed(source, "key_pem", cause);
    let text = source.read().map_err(|e| fail(e.to_string()))?;
    PrivateKeyDer::from_pem_slice(text.expose().as_bytes()).map_err(|e| match e {
        pem::Error::NoItemsFound => fail("no private key in it".to_owned()),
        e => fail(not_pem(&e)),
    })
}

/// Authorities.
pub(super) fn roots(
    source: &SecretSource,
    key: &str,
    and_system: bool,
) -> Result<RootCertStore, TlsError> {
    let mut roots = if and_system { system_roots()? } else { RootCertStore::empty() };
    for cert in certs(source, key)? {
        roots.add(cert).map_err(|e| failed(source, key, e.to_string()))?;
    }
    Ok(roots)
}

/// The authorities that come with the system.
pub(super) fn system_roots() -> Result<RootCertStore, TlsError> {
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

/// When the first certificate of a chain ends, in seconds since 1970.
pub(super) fn not_after(chain: &[CertificateDer<'_>]) -> Option<i64> {
    let (_, certificate) = parse_x509_certificate(chain.first()?).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// An error that names the file, or the key of text that has none.
pub(super) fn failed(source: &SecretSource, key: &str, cause: String) -> TlsError {
    let place = match source {
        SecretSource::File(file) => file.display().to_string(),
        SecretSource::Inline(_) => key.to_owned(),
    };
    TlsError::Pem { place, cause }
}

/// The parser's errors quote the line at fault, which may be of a key.
fn not_pem(error: &pem::Error) -> String {
    let what = match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "what is between BEGIN and END is not base64",
        _ => "it cannot be parsed",
    };
    format!("not PEM: {what}")
}
