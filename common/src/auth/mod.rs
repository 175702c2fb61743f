//! Who may send, and as whom we send: bearer tokens and passwords in a header.
//!
//! Keys and rules are those of the collector's `bearertokenauth` and `basicauth` extensions
//! (v0.161). A client is checked before any of its body is read; comparison takes the same time
//! whatever the client got right.

mod basic;
mod bearer;
mod random;
mod slow;

pub use self::basic::{BasicUsers, UsersError};
pub use self::bearer::Tokens;
pub use self::random::NoRandomness;
pub(crate) use self::random::random;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use thiserror::Error;

use crate::config::SecretSource;
use crate::reload::{Made, Reloaded};

/// Checks the headers of a request.
#[derive(Debug)]
pub enum Checker {
    /// One of these tokens.
    Bearer(Tokens),
    /// One of these users with its password.
    Basic(BasicUsers),
}

/// Why a client is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Denied {
    /// Nobody we know.
    #[error("{why}; send {} credentials with each request", scheme.name())]
    Unknown {
        /// What to use.
        scheme: Scheme,
        /// What is wrong; nothing that helps to guess.
        why: &'static str,
    },
    /// The password could not be looked at now.
    #[error("too many passwords are being checked; try again")]
    Busy,
}

/// A way of showing who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// A token.
    Bearer,
    /// A user and its password.
    Basic,
}

/// What is put into the headers of a request.
#[derive(Debug)]
pub enum Credentials {
    /// A token; the first of several.
    Bearer(Tokens),
    /// A user and its password, as the header's value.
    Basic(Reloaded<HeaderValue>),
}

// === impl Checker ===

impl Checker {
    /// Whether the client may send.
    ///
    /// # Errors
    /// It may not; the error says nothing that helps to guess.
    pub async fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match self {
            Self::Bearer(tokens) => {
                let Some(given) = headers.get(tokens.header()) else {
                    return Err(Scheme::Bearer.denied("there is no token"));
                };
                match tokens.contains(given.as_bytes()) {
                    true => Ok(()),
                    false => Err(Scheme::Bearer.denied("the token is not known")),
                }
            }
            Self::Basic(users) => {
                let denied = |why| Scheme::Basic.denied(why);
                let given = headers.get(AUTHORIZATION);
                let given = given.ok_or_else(|| denied("there is no password"))?;
                let (user, password) =
                    parse_basic(given).ok_or_else(|| denied("this is no user and password"))?;
                match users.contains(&user, &password).await {
                    Ok(true) => Ok(()),
                    Ok(false) => Err(denied("user and password do not match")),
                    Err(slow::Busy) => Err(Denied::Busy),
                }
            }
        }
    }
}

/// `Basic base64(user:password)`, RFC 7617.
fn parse_basic(value: &HeaderValue) -> Option<(String, String)> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

// === impl Credentials ===

impl Credentials {
    /// A user and its password; their files are looked at every `interval`.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn basic(
        user: &SecretSource,
        password: &SecretSource,
        interval: Duration,
    ) -> Result<Self, String> {
        let (user, password) = (user.clone(), password.clone());
        let files = [&user, &password].into_iter().filter_map(SecretSource::file).cloned();
        let (files, load) = (files.collect(), move || basic_value(&user, &password));
        Reloaded::new(files, interval, load).map(Self::Basic)
    }

    /// Puts the credentials in.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let (name, value): (HeaderName, _) = match self {
            Self::Bearer(tokens) => (tokens.header().clone(), tokens.first()),
            Self::Basic(value) => (AUTHORIZATION, Some(value.get().as_ref().clone())),
        };
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

fn basic_value(user: &SecretSource, password: &SecretSource) -> Result<Made<HeaderValue>, String> {
    let read = |source: &SecretSource| {
        source.read().map_err(|e| match source.file() {
            Some(file) => format!("{}: {e}", file.display()),
            None => e.to_string(),
        })
    };
    let (user, password) = (read(user)?, read(password)?);
    let both = STANDARD.encode(format!("{}:{}", user.expose(), password.expose()));
    // Base64 is always a valid value.
    let mut value = HeaderValue::try_from(format!("Basic {both}")).map_err(|e| e.to_string())?;
    value.set_sensitive(true);
    Ok(value.into())
}

// === impl Scheme ===

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Basic => "Basic",
        }
    }

    /// As `WWW-Authenticate` says it; a realm is required for Basic (RFC 7617).
    pub fn challenge(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Basic => "Basic realm=\"tailgate\"",
        }
    }

    fn denied(self, why: &'static str) -> Denied {
        Denied::Unknown { scheme: self, why }
    }
}

#[cfg(test)]
mod tests;
