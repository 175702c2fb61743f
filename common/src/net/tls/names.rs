//! Suites, groups and versions by the names that Go has for them, and rustls by those.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::pki_types::ServerName;
use rustls::{CipherSuite, NamedGroup, SupportedProtocolVersion};

use crate::config::{TlsTerms, TlsVersion};

/// The groups of the key exchange; P-521 is not among those of rustls.
pub(crate) const GROUPS: [(&str, NamedGroup); 5] = [
    ("X25519MLKEM768", NamedGroup::X25519MLKEM768),
    ("X25519", NamedGroup::X25519),
    ("P256", NamedGroup::secp256r1),
    ("P384", NamedGroup::secp384r1),
    ("SecP256r1MLKEM768", NamedGroup::secp256r1MLKEM768),
];

static BOTH: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

/// A suite by Go's name, which is IANA's.
pub(crate) fn cipher_suite(name: &str) -> Option<CipherSuite> {
    let mut suites = aws_lc_rs::ALL_CIPHER_SUITES.iter().map(|suite| suite.suite());
    // rustls has its own prefix for those of TLS 1.3.
    suites.find(|suite| suite.as_str().is_some_and(|s| s.replacen("TLS13_", "TLS_", 1) == name))
}

/// A group by Go's name.
pub(crate) fn group(name: &str) -> Option<NamedGroup> {
    GROUPS.iter().find(|(known, _)| *known == name).map(|(_, group)| *group)
}

/// A name that a certificate can have.
pub(crate) fn certificate_name(name: &str) -> Option<ServerName<'static>> {
    ServerName::try_from(name.to_owned()).ok()
}

/// The algorithms that `terms` allow.
pub(super) fn provider(terms: &TlsTerms) -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    if !terms.cipher_suites.is_empty() {
        let allowed = |suite: CipherSuite| terms.cipher_suites.contains(&suite);
        provider.cipher_suites.retain(|s| s.tls13().is_some() || allowed(s.suite()));
    }
    if !terms.groups.is_empty() {
        provider.kx_groups = terms.groups.iter().filter_map(|name| kx(*name)).collect();
    }
    Arc::new(provider)
}

fn kx(name: NamedGroup) -> Option<&'static dyn SupportedKxGroup> {
    aws_lc_rs::ALL_KX_GROUPS.iter().copied().find(|group| group.name() == name)
}

/// The versions that `terms` allow.
pub(super) fn versions(terms: &TlsTerms) -> &'static [&'static SupportedProtocolVersion] {
    match (terms.min_version, terms.max_version) {
        (TlsVersion::V13, _) => &BOTH[..1],
        (_, TlsVersion::V12) => &BOTH[1..],
        _ => &BOTH,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn gos_names_are_known_and_unsafe_ones_are_not() {
        for name in [
            "TLS_AES_128_GCM_SHA256",
            "TLS_CHACHA20_POLY1305_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ] {
            assert!(cipher_suite(name).is_some(), "{name}");
        }
        for name in [
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
            "TLS_RSA_WITH_RC4_128_SHA",
            "TLS13_AES_128_GCM_SHA256",
            "",
        ] {
            assert!(cipher_suite(name).is_none(), "{name}");
        }
        assert!(GROUPS.iter().all(|(_, group)| kx(*group).is_some()));
    }

    #[test]
    fn terms_narrow_what_is_offered() {
        let terms = TlsTerms {
            cipher_suites: vec![cipher_suite("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256").unwrap()],
            groups: vec![NamedGroup::secp384r1, NamedGroup::X25519],
            max_version: TlsVersion::V12,
            ..TlsTerms::default()
        };
        let provider = provider(&terms);
        let old = |suite: &&rustls::SupportedCipherSuite| suite.tls13().is_none();
        assert_eq!(provider.cipher_suites.iter().filter(old).count(), 1);
        let groups: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::X25519]);
        assert_eq!(versions(&terms), [&rustls::version::TLS12]);
        assert_eq!(versions(&TlsTerms::default()).len(), 2);
    }
}
