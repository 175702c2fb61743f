//! `tls` blocks: every key of the collector, and what is said to those that can't be obeyed.

use std::time::Duration;

use rustls::{CipherSuite, NamedGroup};

use super::*;

fn client(tls: &str) -> Result<ClientTls, String> {
    read(&format!("{{endpoint: h:1, tls: {tls}}}"), OtlpClient::read).map(|client| client.tls)
}

#[test]
fn all_keys() {
    let tls = client(
        "{ca_pem: A, cert_pem: hush, key_pem: hush, include_system_ca_certs_pool: true, \
         min_version: '1.2', max_version: '1.2', reload_interval: 1h, \
         cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256], \
         include_insecure_cipher_suites: false, curve_preferences: [X25519MLKEM768, P384], \
         tpm: {enabled: false, path: /dev/tpm, auth: x}}",
    );
    let tls = tls.unwrap_or_else(|e| panic!("{e}"));
    let inline = |text| SecretSource::Inline(Secret::new(text));
    assert_eq!(tls.ca, Some(inline("A")));
    assert_eq!(tls.identity, Some((inline("hush"), inline("hush"))));
    let terms = TlsTerms {
        max_version: TlsVersion::V12,
        cipher_suites: vec![CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],
        groups: vec![NamedGroup::X25519MLKEM768, NamedGroup::secp384r1],
        include_system_roots: true,
        reload: Duration::from_secs(3600),
        ..TlsTerms::default()
    };
    assert_eq!(tls.terms, terms);
    assert!(!format!("{tls:?}").contains("hush"));
    // As in the collector: an authority asks for TLS.
    assert!(!client("{insecure: true, ca_file: a}").unwrap().insecure);
    assert!(client("{insecure: true}").unwrap().insecure);
}

const REFUSED: &[(&str, &str)] = &[
    ("{ca_file: a, ca_pem: b}", "tls.ca_file: ca_pem is given too"),
    ("{cert_pem: a}", "tls.key_file: is missing"),
    ("{key_file: a}", "tls.cert_file: is missing"),
    (
        "{cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}",
        "tls.cipher_suites[0]: \"TLS_RSA_WITH_RC4_128_SHA\" is no suite that is taken",
    ),
    ("{include_insecure_cipher_suites: true}", "tls.include_insecure_cipher_suites: is not"),
    ("{curve_preferences: [P521]}", "tls.curve_preferences[0]: \"P521\" is no curve"),
    ("{tpm: {enabled: true}}", "tls.tpm.enabled: keys in a TPM are not supported"),
    ("{min_version: '1.3', max_version: '1.2'}", "tls.max_version: is below min_version"),
    ("{min_version: '1.1'}", "tls.min_version: TLS \"1.1\" is not supported"),
];

#[test]
fn what_cannot_be_obeyed_is_refused_with_a_remedy() {
    for (tls, want) in REFUSED {
        let errors = client(tls).expect_err(tls);
        assert!(errors.contains(want), "{tls}: {errors}");
    }
}
