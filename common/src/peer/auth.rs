//! The shared secret: each side shows that it knows it without sending it.

use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What all members know and nobody else. `Debug` does not show it.
#[derive(Clone)]
pub struct SharedSecret(Arc<[u8]>);

/// No randomness from the system: no handshake is safe then.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// Fresh random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    let source = rustls::crypto::aws_lc_rs::default_provider().secure_random;
    source.fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

// === impl SharedSecret ===

impl SharedSecret {
    /// Wraps the secret's bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Self {
        Self(bytes.as_ref().into())
    }

    /// HMAC-SHA256 (RFC 2104) of `input`.
    pub(super) fn sign(&self, input: &[u8]) -> [u8; 32] {
        self.mac(input).finalize().into_bytes().into()
    }

    /// Whether `mac` is that of `input`. Takes the same time wherever they differ.
    pub(super) fn verify(&self, input: &[u8], mac: &[u8; 32]) -> bool {
        self.mac(input).verify_slice(mac).is_ok()
    }

    fn mac(&self, input: &[u8]) -> Hmac<Sha256> {
        // Not `new`: that one wants a key of exactly one block.
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        mac.update(input);
        mac
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(***)")
    }
}
