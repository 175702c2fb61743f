//! Passwords whose check is slow on purpose.
//!
//! What was right is remembered as a keyed hash, and so are some that were wrong. All others are
//! tried one at a time, on a thread where that holds up nobody, with a pause after each: whoever
//! guesses gets at most a quarter of one core, and those who know are let in all the same.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use lru::LruCache;
use parking_lot::Mutex;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::random::{NoRandomness, random};

/// A bcrypt hash, and the password that was found to be its own.
pub(super) struct Bcrypt {
    pub(super) text: String,
    right: OnceLock<Keyed>,
}

/// Tries passwords.
pub(super) struct Slow {
    key: Keyed,
    wrong: Mutex<LruCache<Keyed, ()>>,
    turn: Arc<Semaphore>,
    places: Semaphore,
}

/// Too many passwords are being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

type Keyed = [u8; 32];

/// Wrong passwords that are remembered: a client with an old one costs no more than others.
const REMEMBERED: std::num::NonZeroUsize = std::num::NonZeroUsize::new(1024).unwrap();
/// Requests that wait for their password to be tried.
const PLACES: usize = 64;
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after a try, in times its length.
const REST: u32 = 3;
const LONGEST_REST: Duration = Duration::from_secs(1);

// === impl Bcrypt ===

impl Bcrypt {
    pub(super) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), right: OnceLock::new() }
    }
}

// === impl Slow ===

impl Slow {
    pub(super) fn new() -> Result<Arc<Self>, NoRandomness> {
        Ok(Arc::new(Self {
            key: random()?,
            wrong: Mutex::new(LruCache::new(REMEMBERED)),
            turn: Arc::new(Semaphore::new(1)),
            places: Semaphore::new(PLACES),
        }))
    }

    pub(super) async fn is_right(
        self: &Arc<Self>,
        hash: &Arc<Bcrypt>,
        password: &str,
    ) -> Result<bool, Busy> {
        let keyed = self.keyed(hash, password);
        if let Some(right) = self.remembers(hash, &keyed) {
            return Ok(right);
        }
        let _place = self.places.try_acquire().map_err(|_| Busy)?;
        let turn = tokio::time::timeout(PATIENCE, self.turn.clone().acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(Busy) };
        // Another request of the same client may have been first.
        if let Some(right) = self.remembers(hash, &keyed) {
            return Ok(right);
        }
        // A task of its own, so that a client which goes away gets no second turn by that.
        let one = self.clone().try_one(hash.clone(), password.to_owned(), keyed, turn);
        Ok(tokio::spawn(one).await.unwrap_or(false))
    }

    async fn try_one(
        self: Arc<Self>,
        hash: Arc<Bcrypt>,
        password: String,
        keyed: Keyed,
        turn: OwnedSemaphorePermit,
    ) -> bool {
        let begun = Instant::now();
        let tried = hash.clone();
        let verify = move || bcrypt::verify(&password, &tried.text).unwrap_or(false);
        let right = tokio::task::spawn_blocking(verify).await.unwrap_or(false);
        match right {
            // bcrypt looks at 72 bytes, so others may be right too: they are tried each time.
            true => drop(hash.right.set(keyed)),
            false => drop(self.wrong.lock().put(keyed, ())),
        }
        let rest = (begun.elapsed() * REST).min(LONGEST_REST);
        tokio::spawn(async move {
            tokio::time::sleep(rest).await;
            drop(turn);
        });
        right
    }

    fn remembers(&self, hash: &Bcrypt, keyed: &Keyed) -> Option<bool> {
        if hash.right.get().is_some_and(|right| right.ct_eq(keyed).into()) {
            return Some(true);
        }
        self.wrong.lock().get(keyed).map(|()| false)
    }

    /// Nobody can find another pair that is taken for this one.
    fn keyed(&self, hash: &Bcrypt, password: &str) -> Keyed {
        #[allow(clippy::expect_used)]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is a key");
        mac.update(&(hash.text.len() as u64).to_le_bytes());
        mac.update(hash.text.as_bytes());
        mac.update(password.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slow")
    }
}
