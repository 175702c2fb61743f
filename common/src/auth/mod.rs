//! Who may send, and as whom we send: bearer tokens and passwords in a header.
//!
//! Keys and rules are those of the collector's `bearertokenauth` and `basicauth` extensions
//! (v0.161). A client is checked before any of its body is read; comparison takes the same time
//! whatever the client got right.

mod basic;
mod bearer;

pub use self::basic::{BasicUsers, UsersError};
pub use self::bearer::Tokens;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

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
#[error("{why}; send {scheme} credentials in the authorization header")]
pub struct Denied {
    /// What to use, as `WWW-Authenticate` says it.
    pub scheme: &'static str,
    why: &'static str,
}

/// What is put into the headers of a request.
#[derive(Debug)]
pub enum Credentials {
    /// A token; the first of several.
    Bearer(Tokens),
    /// A user and its password, as the header's value.
    Basic(Secret),
}

/// A header's value that is never shown.
pub struct Secret(HeaderValue);

// === impl Checker ===

impl Checker {
    /// Whether the client may send.
    ///
    /// # Errors
    /// It may not; the error says nothing that helps to guess.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        match self {
            Self::Bearer(tokens) => {
                let Some(given) = headers.get(tokens.header()) else {
                    return Err(Denied { scheme: "Bearer", why: "there is no token" });
                };
                let known = tokens.contains(given.as_bytes());
                let denied = Denied { scheme: "Bearer", why: "the token is not known" };
                known.then_some(()).ok_or(denied)
            }
            Self::Basic(users) => {
                let denied = |why| Denied { scheme: "Basic", why };
                let given = headers.get(AUTHORIZATION);
                let given = given.ok_or_else(|| denied("there is no password"))?;
                let (user, password) =
                    parse_basic(given).ok_or_else(|| denied("this is no user and password"))?;
                let known = users.contains(&user, &password);
                known.then_some(()).ok_or_else(|| denied("user and password do not match"))
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
    /// A user and its password.
    pub fn basic(user: &str, password: &str) -> Self {
        let text = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        // Base64 is always a valid value.
        let mut value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        value.set_sensitive(true);
        Self::Basic(Secret(value))
    }

    /// Puts the credentials in.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let (name, value): (HeaderName, _) = match self {
            Self::Bearer(tokens) => (tokens.header().clone(), tokens.first()),
            Self::Basic(Secret(value)) => (AUTHORIZATION, Some(value.clone())),
        };
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests;
