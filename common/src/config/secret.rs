//! Text that must not be printed.

use std::fmt;
use std::io::{self, Read};
use std::path::PathBuf;

/// A secret: `Debug` shows stars, and there is no `Display`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

/// Where a secret is: in the configuration, or in a file that is read when it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration (usually as `${env:V}`).
    Inline(Secret),
    /// In a file; white space around it does not count.
    File(PathBuf),
}

/// A bundle of all public authorities is a quarter of this.
const MAX_FILE: u64 = 1 << 20;

// === impl Secret ===

impl Secret {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "Secret(empty)" } else { "Secret(***)" })
    }
}

// === impl SecretSource ===

impl SecretSource {
    /// The secret now. Fails if the file cannot be read as text, or has more than a MiB.
    pub fn read(&self) -> io::Result<Secret> {
        let path = match self {
            Self::Inline(secret) => return Ok(secret.clone()),
            Self::File(path) => path,
        };
        let mut text = String::new();
        std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MAX_FILE {
            return Err(io::Error::other("the file is larger than 1 MiB"));
        }
        Ok(Secret::new(text.trim()))
    }

    /// The file, if it is one.
    pub fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Inline(_) => None,
            Self::File(path) => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_not_shown() {
        let shown = format!("{:?}", SecretSource::Inline(Secret::new("hush")));
        assert!(!shown.contains("hush"), "{shown}");
        assert_eq!(Secret::new("hush").expose(), "hush");
    }
}
