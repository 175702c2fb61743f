//! Users and passwords, in the form of Apache's `htpasswd`.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use thiserror::Error;

use super::slow::{Bcrypt, Busy, Slow};
use crate::config::SecretSource;
use crate::reload::{Made, Reloaded};

/// The users that are known.
#[derive(Debug)]
pub struct BasicUsers {
    users: Reloaded<Users>,
    slow: Arc<Slow>,
}

/// Why users can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsersError {
    /// A line is not `user:hash`.
    #[error("line {0} is no user:hash")]
    Line(usize),
    /// The hash is of a kind that is not taken.
    #[error(
        "line {0}: of hashes, bcrypt ($2y$), {{SHA}} and {{SSHA}} are taken; make one with \
         `htpasswd -nB user`"
    )]
    Kind(usize),
    /// A single check would take seconds.
    #[error("line {0}: a bcrypt cost above {MAX_COST} takes too long; use `htpasswd -nB -C 10`")]
    Cost(usize),
    /// Nobody could get in.
    #[error("there is no user")]
    Nobody,
    /// The list is without reason.
    #[error("more than {MAX_USERS} users")]
    TooMany,
}

#[derive(Default)]
struct Users {
    known: HashMap<String, Hash>,
    /// What the password of somebody unknown is tried against, so that it takes as long.
    decoy: Option<Arc<Bcrypt>>,
}

enum Hash {
    Bcrypt(Arc<Bcrypt>),
    /// SHA-1 of the password and what follows it.
    Sha1 {
        digest: Vec<u8>,
        salt: Vec<u8>,
    },
    Plain(String),
}

const MAX_USERS: usize = 10_000;
const MAX_COST: u32 = 14;
const SHA1_LEN: usize = 20;

// === impl BasicUsers ===

impl BasicUsers {
    /// Users from a file, which is looked at every `interval`, and the configuration's text, which
    /// counts where both know a user.
    ///
    /// # Errors
    /// Something of it can't be used.
    pub fn new(inline: &str, file: Option<PathBuf>, interval: Duration) -> Result<Self, String> {
        let inline = inline.to_owned();
        let source = file.clone().map(SecretSource::File);
        let load = move || {
            let mut text = String::new();
            if let Some(source) = &source {
                text = source.read().map_err(|e| e.to_string())?.expose().to_owned();
                text.push('\n');
            }
            text += &inline;
            parse(&text).map(Made::from).map_err(|e| e.to_string())
        };
        let place = |e| match &file {
            Some(file) => format!("{}: {e}", file.display()),
            None => format!("htpasswd.inline: {e}"),
        };
        let users = Reloaded::new(file.iter().cloned().collect(), interval, load).map_err(place)?;
        Ok(Self { users, slow: Slow::new().map_err(|e| e.to_string())? })
    }

    /// Whether the password is the user's.
    ///
    /// # Errors
    /// Too many passwords are being tried to look at this one now.
    pub async fn contains(&self, user: &str, password: &str) -> Result<bool, Busy> {
        let users = self.users.get();
        match users.known.get(user) {
            Some(Hash::Sha1 { digest, salt }) => {
                let given = Sha1::new().chain_update(password).chain_update(salt).finalize();
                Ok(given.ct_eq(digest).into())
            }
            Some(Hash::Plain(known)) => Ok(known.as_bytes().ct_eq(password.as_bytes()).into()),
            Some(Hash::Bcrypt(hash)) => self.slow.is_right(hash, password).await,
            None => match &users.decoy {
                Some(hash) => self.slow.is_right(hash, password).await.map(|_| false),
                None => Ok(false),
            },
        }
    }
}

fn parse(text: &str) -> Result<Users, UsersError> {
    let mut users = Users::default();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or(UsersError::Line(number))?;
        let hash = parse_hash(hash, number)?;
        if let Hash::Bcrypt(hash) = &hash {
            users.decoy.get_or_insert_with(|| Arc::new(Bcrypt::new(&hash.text)));
        }
        users.known.insert(user.to_owned(), hash);
    }
    match users.known.len() {
        0 => Err(UsersError::Nobody),
        1..=MAX_USERS => Ok(users),
        _ => Err(UsersError::TooMany),
    }
}

fn parse_hash(text: &str, line: usize) -> Result<Hash, UsersError> {
    let sha = text.strip_prefix("{SHA}").or_else(|| text.strip_prefix("{SSHA}"));
    if let Some(sha) = sha {
        let mut digest = STANDARD.decode(sha).map_err(|_| UsersError::Line(line))?;
        if digest.len() < SHA1_LEN {
            return Err(UsersError::Line(line));
        }
        let salt = digest.split_off(SHA1_LEN);
        return Ok(Hash::Sha1 { digest, salt });
    }
    if text.starts_with("$2") {
        // $2y$10$...
        let cost = text.split('$').nth(2).and_then(|cost| cost.parse::<u32>().ok());
        return match cost.ok_or(UsersError::Line(line))? {
            0..=MAX_COST => Ok(Hash::Bcrypt(Arc::new(Bcrypt::new(text)))),
            _ => Err(UsersError::Cost(line)),
        };
    }
    if text.starts_with('$') || text.is_empty() {
        return Err(UsersError::Kind(line));
    }
    // As nginx marks it, or as it is.
    Ok(Hash::Plain(text.strip_prefix("{PLAIN}").unwrap_or(text).to_owned()))
}
