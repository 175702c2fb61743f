//! What is made out of files and made again when they change: certificates, tokens, passwords.
//!
//! Files are looked at by whoever asks and by each scrape of the metrics, at most once in an
//! interval, and by content: what renews them may swap symbolic links (Kubernetes secrets) or keep
//! time stamps. A change that can't be used leaves what was there before, and is said once.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

/// How often files are looked at unless configured.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

/// A value and the files it comes from.
pub struct Reloaded<T>(Arc<Inner<T>>);

/// What was made out of files.
#[derive(Clone, Debug)]
pub struct Made<T> {
    /// The value.
    pub value: T,
    /// When it ends, in seconds since 1970, if it does.
    pub expiry: Option<i64>,
}

/// How it stands with some files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The first of them.
    pub file: String,
    /// Changes that could not be used.
    pub failures: u64,
    /// Why the last change is not used, if it is not.
    pub error: Option<String>,
    /// When what is in use ends, in seconds since 1970, if it does.
    pub expiry: Option<i64>,
}

struct Inner<T> {
    files: Vec<PathBuf>,
    interval: Duration,
    load: Box<Load<T>>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
    failures: AtomicU64,
}

type Load<T> = dyn Fn() -> Result<Made<T>, String> + Send + Sync;

struct Seen {
    at: Instant,
    /// The content in use.
    used: u64,
    /// The content that can't be used, if it has changed to such.
    unusable: Option<u64>,
    error: Option<String>,
    expiry: Option<i64>,
}

trait Watched: Send + Sync {
    fn status(&self) -> Status;
}

/// Everything that is made out of files in this process, for its metrics and its health.
static ALL: Mutex<Vec<Weak<dyn Watched>>> = Mutex::new(Vec::new());

/// How it stands with all files that are in use now.
pub fn all() -> Vec<Status> {
    let watched: Vec<_> = ALL.lock().iter().filter_map(Weak::upgrade).collect();
    watched.iter().map(|one| one.status()).collect()
}

// === impl Made ===

impl<T> From<T> for Made<T> {
    fn from(value: T) -> Self {
        Self { value, expiry: None }
    }
}

// === impl Reloaded ===

impl<T: Send + Sync + 'static> Reloaded<T> {
    /// Loads the value the first time. `load` reads `files` itself.
    ///
    /// # Errors
    /// What `load` says.
    pub fn new<E: fmt::Display>(
        files: Vec<PathBuf>,
        interval: Duration,
        load: impl Fn() -> Result<Made<T>, E> + Send + Sync + 'static,
    ) -> Result<Self, E> {
        // Before the value, so that a change in between is seen.
        let used = content(&files).unwrap_or_default();
        let Made { value, expiry } = load()?;
        if let (Some(file), Some(text)) = (files.first(), expired(expiry)) {
            tracing::warn!(file = %file.display(), "{text}");
        }
        let seen = Seen { at: Instant::now(), used, unusable: None, error: None, expiry };
        let inner: Arc<Inner<T>> = Arc::new(Inner {
            files,
            interval,
            load: Box::new(move || load().map_err(|e| e.to_string())),
            current: ArcSwap::from_pointee(value),
            seen: Mutex::new(seen),
            failures: AtomicU64::new(0),
        });
        if !inner.files.is_empty() || expiry.is_some() {
            let weak: Weak<Inner<T>> = Arc::downgrade(&inner);
            let mut all = ALL.lock();
            all.retain(|one| one.strong_count() > 0);
            all.push(weak);
        }
        Ok(Self(inner))
    }

    /// The value of now.
    pub fn get(&self) -> Arc<T> {
        // Who finds another one looking takes what is there.
        if let Some(mut seen) = self.0.seen.try_lock() {
            self.0.look(&mut seen);
        }
        self.0.current.load_full()
    }
}

impl<T> fmt::Debug for Reloaded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the value: it may be secret.
        f.debug_struct("Reloaded").field("files", &self.0.files).finish_non_exhaustive()
    }
}

// === impl Inner ===

impl<T> Inner<T> {
    fn name(&self) -> String {
        self.files.first().map_or_else(|| "inline".to_owned(), |f| f.display().to_string())
    }

    fn look(&self, seen: &mut Seen) {
        if self.files.is_empty() || seen.at.elapsed() < self.interval {
            return;
        }
        seen.at = Instant::now();
        let made = match content(&self.files) {
            // As it was, perhaps after something that could not be used.
            Ok(content) if content == seen.used => {
                (seen.unusable, seen.error) = (None, None);
                return;
            }
            Ok(content) if seen.unusable == Some(content) => return,
            Ok(content) => {
                seen.unusable = Some(content);
                self.make(content, seen)
            }
            Err(error) => {
                seen.unusable = None;
                Err(error.to_string())
            }
        };
        match made {
            Ok(()) => tracing::info!(file = self.name(), "reloaded"),
            Err(error) if seen.error.as_ref() == Some(&error) => {}
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                let file = self.name();
                tracing::warn!(file, error, "cannot be used; what was read before stays");
                seen.error = Some(error);
            }
        }
    }

    fn make(&self, content: u64, seen: &mut Seen) -> Result<(), String> {
        let Made { value, expiry } = (self.load)()?;
        if let Some(text) = expired(expiry) {
            return Err(text);
        }
        self.current.store(Arc::new(value));
        *seen = Seen { at: seen.at, used: content, unusable: None, error: None, expiry };
        Ok(())
    }
}

impl<T: Send + Sync> Watched for Inner<T> {
    fn status(&self) -> Status {
        let mut seen = self.seen.lock();
        self.look(&mut seen);
        let failures = self.failures.load(Ordering::Relaxed);
        let (error, expiry) = (seen.error.clone(), seen.expiry);
        Status { file: self.name(), failures, error, expiry }
    }
}

// === impl Status ===

impl Status {
    /// What is wrong, if anything is.
    pub fn trouble(&self) -> Option<String> {
        self.error.clone().or_else(|| expired(self.expiry))
    }
}

/// Words for what has ended.
fn expired(expiry: Option<i64>) -> Option<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let since = i64::try_from(now).unwrap_or(i64::MAX).checked_sub(expiry?)?;
    (since >= 0).then(|| "the certificate has expired; renew it".to_owned())
}

fn content(files: &[PathBuf]) -> io::Result<u64> {
    let mut hash = Xxh3::new();
    for file in files {
        let text = std::fs::read(file);
        let text =
            text.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", file.display())))?;
        // With its length, so that bytes which move between files are a change.
        hash.update(&text.len().to_le_bytes());
        hash.update(&text);
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
            let expiry = text.starts_with('9').then_some(1);
            let value = text.parse::<u32>().map_err(|e| e.to_string())?;
            Ok::<_, String>(Made { value, expiry })
        };
        let value = Reloaded::new(vec![path.clone()], Duration::ZERO, load).unwrap();
        let status = || all().into_iter().find(|s| s.file == path.display().to_string()).unwrap();
        assert_eq!(*value.get(), 1);
        std::fs::write(&path, "2").unwrap();
        assert_eq!(*value.get(), 2);
        assert_eq!((status().failures, status().trouble()), (0, None));
        for (failures, bad) in [(1, "two"), (2, "9"), (3, "three")] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!((*value.get(), *value.get()), (2, 2));
            assert_eq!(status().failures, failures);
            assert!(status().trouble().is_some());
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!((*value.get(), *value.get()), (2, 2));
        assert_eq!(status().failures, 4);
        // As it was: there is nothing to load, and nothing wrong.
        std::fs::write(&path, "2").unwrap();
        assert_eq!((*value.get(), status().trouble()), (2, None));
        std::fs::write(&path, "3").unwrap();
        // A look by way of the metrics is enough.
        assert_eq!(status().trouble(), None);
        assert_eq!(*value.0.current.load_full(), 3);
        drop(value);
        assert!(all().iter().all(|s| s.file != path.display().to_string()));
    }
}
