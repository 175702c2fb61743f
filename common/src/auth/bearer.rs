//! Tokens, given in the configuration or one a line in a file.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use subtle::{Choice, ConstantTimeEq};

use crate::config::SecretSource;
use crate::reload::{Made, Reloaded};

/// The tokens that are known, as whole values of a header.
#[derive(Debug)]
pub struct Tokens {
    header: HeaderName,
    values: Reloaded<Vec<HeaderValue>>,
}

/// A file with more tokens is refused.
const MAX_TOKENS: usize = 1024;

// === impl Tokens ===

impl Tokens {
    /// Tokens that follow `scheme` (may be empty) in the header.
    ///
    /// # Errors
    /// A token can't be in a header.
    pub fn new(header: HeaderName, scheme: &str, tokens: &[String]) -> Result<Self, String> {
        let values = values(scheme, tokens.iter().map(String::as_str))?;
        let load = move || Ok::<_, String>(values.clone().into());
        Ok(Self { header, values: Reloaded::new(Vec::new(), Duration::MAX, load)? })
    }

    /// Tokens from a file, one a line, looked at every `interval`.
    ///
    /// # Errors
    /// The file can't be read, or has no usable token.
    pub fn from_file(
        header: HeaderName,
        scheme: &str,
        file: PathBuf,
        interval: Duration,
    ) -> Result<Self, String> {
        let (scheme, path) = (scheme.to_owned(), file.clone());
        let source = SecretSource::File(file.clone());
        let load = move || {
            let text = source.read().map_err(|e| format!("{}: {e}", path.display()))?;
            // What follows a token on its line is a comment.
            let tokens = text.expose().lines().filter_map(|l| l.split_whitespace().next());
            let values = values(&scheme, tokens);
            values.map(Made::from).map_err(|e| format!("{}: {e}", path.display()))
        };
        Ok(Self { header, values: Reloaded::new(vec![file], interval, load)? })
    }

    /// The header they are in.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The first of them.
    pub fn first(&self) -> Option<HeaderValue> {
        self.values.get().first().cloned()
    }

    /// Whether a header's value is one of them; all are compared, each in constant time.
    pub fn contains(&self, given: &[u8]) -> bool {
        let values: Arc<Vec<HeaderValue>> = self.values.get();
        let any =
            values.iter().fold(Choice::from(0), |any, known| any | known.as_bytes().ct_eq(given));
        any.into()
    }
}

fn values<'a>(
    scheme: &str,
    tokens: impl Iterator<Item = &'a str>,
) -> Result<Vec<HeaderValue>, String> {
    let whole = |token: &str| match scheme {
        "" => token.to_owned(),
        scheme => format!("{scheme} {token}"),
    };
    let mut values = Vec::new();
    for token in tokens {
        let value = HeaderValue::try_from(whole(token));
        let mut value = value.map_err(|_| "a token is not printable ASCII".to_owned())?;
        value.set_sensitive(true);
        values.push(value);
    }
    match values.len() {
        0 => Err("there is no token".to_owned()),
        1..=MAX_TOKENS => Ok(values),
        n => Err(format!("{n} tokens are more than {MAX_TOKENS}")),
    }
}
