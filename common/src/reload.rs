//! What is made out of files and made again when they change: certificates, tokens, passwords.
//!
//! Files are looked at by whoever asks, at most once in an interval, and by content: what renews
//! them may swap symbolic links (Kubernetes secrets) or keep time stamps. A change that can't be
//! used leaves what was there before.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

/// How often files are looked at unless configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// A value and the files it comes from.
pub struct Reloaded<T> {
    files: Vec<PathBuf>,
    interval: Duration,
    load: Box<Load<T>>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
}

type Load<T> = dyn Fn() -> Result<T, String> + Send + Sync;

struct Seen {
    at: Instant,
    content: u64,
}

// === impl Reloaded ===

impl<T> Reloaded<T> {
    /// Loads the value the first time. `load` reads `files` itself.
    ///
    /// # Errors
    /// What `load` says.
    pub fn new<E: fmt::Display>(
        files: Vec<PathBuf>,
        interval: Duration,
        load: impl Fn() -> Result<T, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Before the value, so that a change in between is seen.
        let seen = Seen { at: Instant::now(), content: content(&files).unwrap_or_default() };
        let current = ArcSwap::from_pointee(load()?);
        let load = Box::new(move || load().map_err(|e| e.to_string()));
        Ok(Self { files, interval, load, current, seen: Mutex::new(seen) })
    }

    /// The value of now.
    pub fn get(&self) -> Arc<T> {
        if !self.files.is_empty()
            && let Some(mut seen) = self.seen.try_lock()
            && seen.at.elapsed() >= self.interval
        {
            seen.at = Instant::now();
            self.look(&mut seen);
        }
        self.current.load_full()
    }

    fn look(&self, seen: &mut Seen) {
        let name = || self.files.first().map_or_else(String::new, |f| f.display().to_string());
        match content(&self.files) {
            Ok(content) if content == seen.content => return,
            Ok(content) => seen.content = content,
            Err(error) => {
                tracing::warn!(file = name(), %error, "cannot be read again; what was read before stays");
                return;
            }
        }
        match (self.load)() {
            Ok(value) => {
                self.current.store(Arc::new(value));
                tracing::info!(file = name(), "reloaded");
            }
            Err(error) => {
                tracing::warn!(file = name(), error, "cannot be used; what was read before stays");
            }
        }
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value: it may be secret.
        f.debug_struct("Reloaded").field("files", &self.files).finish_non_exhaustive()
    }
}

fn content(files: &[PathBuf]) -> io::Result<u64> {
    let mut hash = Xxh3::new();
    for file in files {
        hash.update(&std::fs::read(file)?);
    }
    Ok(hash.digest())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_change_is_seen_and_a_bad_one_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n");
        std::fs::write(&path, "1").unwrap();
        let from = path.clone();
        let load = move || {
            let text = std::fs::read_to_string(&from).map_err(|e| e.to_string())?;
            text.parse::<u32>().map_err(|e| e.to_string())
        };
        let value = Reloaded::new(vec![path.clone()], Duration::ZERO, load).unwrap();
        assert_eq!(*value.get(), 1);
        std::fs::write(&path, "2").unwrap();
        assert_eq!(*value.get(), 2);
        std::fs::write(&path, "two").unwrap();
        assert_eq!(*value.get(), 2);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(*value.get(), 2);
        std::fs::write(&path, "3").unwrap();
        assert_eq!(*value.get(), 3);
    }
}
