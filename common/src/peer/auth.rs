//! The shared secret: each side shows that it knows it without sending it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::SecretSource;
use crate::reload::{Made, Reloaded};

/// What all members know and nobody else. `Debug` does not show it.
///
/// There may be several, so that a new one can be rolled out: the first is shown, all are taken.
#[derive(Clone)]
pub struct SharedSecret(Arc<Reloaded<Arc<[Key]>>>);

/// One secret.
pub(super) struct Key(Box<[u8]>);

/// Why there is no secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Anybody would know it.
    #[error(
        "is empty; write a secret of 32 random bytes, such as `head -c 32 /dev/urandom | base64`"
    )]
    Empty,
    /// A file of something else.
    #[error("more than {MAX_SECRETS} lines; write one secret a line")]
    TooMany,
}

const MAX_SECRETS: usize = 8;

// === impl SharedSecret ===

impl SharedSecret {
    /// The secrets of `source`, one a line; its file is looked at every `interval`.
    ///
    /// # Errors
    /// There is none.
    pub fn from_source(source: &SecretSource, interval: Duration) -> Result<Self, SecretError> {
        let source = source.clone();
        let files = source.file().into_iter().cloned().collect();
        let load = move || {
            let text = source.read()?;
            let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty());
            let keys: Arc<[Key]> = lines.map(|line| Key(line.as_bytes().into())).collect();
            match keys.len() {
                0 => Err(SecretError::Empty),
                1..=MAX_SECRETS => Ok(Made::from(keys)),
                _ => Err(SecretError::TooMany),
            }
        };
        Ok(Self(Arc::new(Reloaded::new(files, interval, load)?)))
    }

    /// None: who is who is shown by mutual TLS alone.
    pub fn none() -> Self {
        let load =
            || Ok::<_, std::convert::Infallible>(Made::from(Arc::from([Key(Box::default())])));
        let Ok(none) = Reloaded::new(Vec::new(), Duration::MAX, load);
        Self(Arc::new(none))
    }

    /// The secrets of now, at least one.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        self.0.get().as_ref().clone()
    }
}

impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret(***)")
    }
}

// === impl Key ===

impl Key {
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
