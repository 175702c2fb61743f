//! Connections to the internal port that came to nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::handshake::HandshakeError;
use super::stream::ConnectionError;

/// How many were refused, by why.
#[derive(Debug, Default)]
pub struct RefusedPeers {
    counts: [AtomicU64; REASONS.len()],
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    at: Option<Instant>,
    kept_back: u64,
}

const REASONS: [&str; 4] = ["secret", "tls", "timeout", "protocol"];
/// Whoever knocks all day fills no log.
const PAUSE: Duration = Duration::from_secs(1);

// === impl RefusedPeers ===

impl RefusedPeers {
    /// Reasons with their numbers so far.
    pub fn counts(&self) -> [(&'static str, u64); REASONS.len()] {
        std::array::from_fn(|i| (REASONS[i], self.counts[i].load(Ordering::Relaxed)))
    }

    /// Counts one; if it is to be said now, how many were not said before it.
    pub(super) fn count(&self, error: &HandshakeError) -> Option<u64> {
        let reason = match error {
            HandshakeError::Secret => 0,
            HandshakeError::Tls(_) => 1,
            HandshakeError::TimedOut | HandshakeError::Connection(ConnectionError::Silent) => 2,
            _ => 3,
        };
        self.counts[reason].fetch_add(1, Ordering::Relaxed);
        let mut said = self.said.lock();
        if said.at.is_some_and(|at| at.elapsed() < PAUSE) {
            said.kept_back += 1;
            return None;
        }
        said.at = Some(Instant::now());
        Some(std::mem::take(&mut said.kept_back))
    }
}
