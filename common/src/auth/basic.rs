//! Users and passwords, in the form of Apache's `htpasswd`.
//!
//! bcrypt is slow on purpose, so what was right once is remembered (as a keyed hash), and no more
//! than a few passwords a second are tried: guessing must not cost us the CPU of those who know.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::reload::{Made, Reloaded};

/// The users that are known.
#[derive(Debug)]
pub struct BasicUsers {
    users: Reloaded<Users>,
    verified: Verified,
}

/// Why users can't be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UsersError {
    /// A line is not `user:hash`.
    #[error("line {0} is no user:hash")]
    Line(usize),
    /// The hash is of a kind that is not taken.
    #[error(
        "line {0}: only bcrypt ($2y$) and {{SHA}} are taken; make one with `htpasswd -nB user`"
    )]
    Kind(usize),
    /// Nobody could get in.
    #[error("there is no user")]
    Nobody,
}

type Users = HashMap<String, Hash>;

#[derive(Clone)]
enum Hash {
    Bcrypt(String),
    Sha1(Vec<u8>),
}

/// What was right before, bounded, and how many may still be tried now.
struct Verified {
    keys: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: HashMap<(u64, u64), ()>,
    tries: u32,
    since: Option<Instant>,
}

const MAX_REMEMBERED: usize = 4096;
/// bcrypt with cost 10 takes some 60 ms of CPU.
const MAX_TRIES_A_SECOND: u32 = 4;

// === impl BasicUsers ===

impl BasicUsers {
    /// Users from the configuration's text and a file, which is looked at every `interval`.
    ///
    /// # Errors
    /// Something of it can't be used.
    pub fn new(inline: &str, file: Option<PathBuf>, interval: Duration) -> Result<Self, String> {
        let (inline, path) = (inline.to_owned(), file.clone());
        let load = move || {
            let mut text = inline.clone();
            if let Some(path) = &path {
                let read = std::fs::read_to_string(path);
                text.push('\n');
                text += &read.map_err(|e| format!("cannot read {}: {e}", path.display()))?;
            }
            parse(&text).map(Made::from).map_err(|e| e.to_string())
        };
        let users = Reloaded::new(file.into_iter().collect(), interval, load)?;
        let verified = Verified { keys: RandomState::new(), state: Mutex::default() };
        Ok(Self { users, verified })
    }

    /// Whether the password is the user's.
    pub fn contains(&self, user: &str, password: &str) -> bool {
        let users = self.users.get();
        match users.get(user) {
            Some(Hash::Sha1(hash)) => Sha1::digest(password).ct_eq(hash).into(),
            Some(Hash::Bcrypt(hash)) => self.verified.check(hash, password),
            None => false,
        }
    }
}

fn parse(text: &str) -> Result<Users, UsersError> {
    let mut users = Users::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, hash) = line.split_once(':').ok_or(UsersError::Line(number))?;
        let hash = if let Some(sha) = hash.strip_prefix("{SHA}") {
            Hash::Sha1(STANDARD.decode(sha).map_err(|_| UsersError::Line(number))?)
        } else if hash.starts_with("$2") {
            Hash::Bcrypt(hash.to_owned())
        } else {
            return Err(UsersError::Kind(number));
        };
        users.insert(user.to_owned(), hash);
    }
    if users.is_empty() { Err(UsersError::Nobody) } else { Ok(users) }
}

// === impl Verified ===

impl Verified {
    fn check(&self, hash: &str, password: &str) -> bool {
        // Two keyed hashes: nobody can find a second pair that is taken for this one.
        let key = (self.keys.hash_one((hash, password)), self.keys.hash_one((password, hash, 1)));
        if !self.try_now(key) {
            return self.state.lock().known.contains_key(&key);
        }
        let right = bcrypt::verify(password, hash).unwrap_or(false);
        if right {
            let mut state = self.state.lock();
            if state.known.len() >= MAX_REMEMBERED {
                state.known.clear();
            }
            state.known.insert(key, ());
        }
        right
    }

    /// Whether the password is not known yet, and may be tried now.
    fn try_now(&self, key: (u64, u64)) -> bool {
        let mut state = self.state.lock();
        if state.known.contains_key(&key) {
            return false;
        }
        if state.since.is_none_or(|since| since.elapsed() >= Duration::from_secs(1)) {
            (state.since, state.tries) = (Some(Instant::now()), 0);
        }
        state.tries += 1;
        state.tries <= MAX_TRIES_A_SECOND
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verified")
    }
}
