//! The handshake's proof: several secrets, replays, mirrors.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::handshake::{HandshakeError, accept, connect};
use super::*;
use crate::config::{Secret, SecretSource};

fn me(name: &str, source: SecretSource) -> Identity {
    let secret = SharedSecret::from_source(&source, Duration::ZERO).unwrap();
    Identity { role: Role::Sampler, name: name.into(), secret, digest: SharedDigest::new(0) }
}

fn with(name: &str, secrets: &str) -> Identity {
    me(name, SecretSource::Inline(Secret::new(secrets)))
}

async fn meet(a: &Identity, b: &Identity) -> Result<(), String> {
    let (left, right) = duplex(4096);
    let name = b.name.clone();
    let (out, back) = tokio::join!(connect(left, a, &name), accept(right, b));
    match (out, back) {
        (Ok(_), Ok(_)) => Ok(()),
        (Err(ours), Err(theirs)) => Err(format!("{ours}; {theirs}")),
        (out, back) => panic!("{:?} {:?}", out.err(), back.err()),
    }
}

#[tokio::test]
async fn a_secret_is_replaced_member_by_member_without_a_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let node = |name: &str| {
        std::fs::write(dir.path().join(name), "old").unwrap();
        me(name, SecretSource::File(dir.path().join(name)))
    };
    let (a, b) = (node("a"), node("b"));
    let write = |path: &Path, text: &str| std::fs::write(path, text).unwrap();
    for step in ["old\nnew", "new\nold", "new"] {
        for name in ["a", "b"] {
            write(&dir.path().join(name), step);
            meet(&a, &b).await.unwrap();
            meet(&b, &a).await.unwrap();
        }
    }
    meet(&a, &with("b", "old")).await.unwrap_err();
    // An empty file changes nothing: it would let everybody in.
    write(&dir.path().join("a"), "\n");
    meet(&a, &b).await.unwrap();
    meet(&a, &with("b", "x")).await.unwrap_err();
}

#[tokio::test]
async fn both_sides_say_that_the_secret_is_wrong() {
    let said = meet(&with("a", "one"), &with("b", "two")).await.unwrap_err();
    assert_eq!(said, "peer: the shared secret does not match; the shared secret does not match");
}

#[test]
fn no_secret_is_refused() {
    for (text, want) in [("", "is empty"), (" \n ", "is empty"), (&"x\n".repeat(9), "8 lines")] {
        let source = SecretSource::Inline(Secret::new(text));
        let error = SharedSecret::from_source(&source, Duration::MAX).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}

/// What a client said in a handshake that went well is worth nothing in another one.
#[tokio::test]
async fn a_recorded_handshake_can_not_be_played_again() {
    let (a, b) = (with("a", "secret"), with("b", "secret"));
    let (left, mut wire) = duplex(4096);
    let (mut other, right) = duplex(4096);
    let record = async {
        let mut recorded = Vec::new();
        let (mut from_client, mut from_server) = ([0; 4096], [0; 4096]);
        loop {
            tokio::select! {
                Ok(n) = wire.read(&mut from_client) => {
                    if n == 0 { return recorded; }
                    recorded.extend_from_slice(&from_client[..n]);
                    other.write_all(&from_client[..n]).await.unwrap();
                }
                Ok(n) = other.read(&mut from_server) => {
                    if n == 0 { return recorded; }
                    wire.write_all(&from_server[..n]).await.unwrap();
                }
            }
        }
    };
    let name: Arc<str> = "b".into();
    let both = async {
        let (out, back) = tokio::join!(connect(left, &a, &name), accept(right, &b));
        assert!(out.is_ok() && back.is_ok());
    };
    let (recorded, ()) = tokio::join!(record, both);
    let (mut attacker, right) = duplex(4096);
    let play = async {
        attacker.write_all(&recorded).await.unwrap();
        let mut answer = Vec::new();
        attacker.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (answer, played) = tokio::join!(play, accept(right, &b));
    assert!(matches!(played.err().unwrap(), HandshakeError::Secret));
    assert!(String::from_utf8_lossy(&answer).contains("does not match"));
}

/// A server that only gives back what it is sent has no proof of its own.
#[tokio::test]
async fn a_mirror_is_no_member() {
    let (left, mirror) = duplex(4096);
    let (mut read, mut write) = tokio::io::split(mirror);
    tokio::spawn(async move { tokio::io::copy(&mut read, &mut write).await });
    let met = connect(left, &with("a", "secret"), &"a".into()).await;
    assert!(matches!(met.err().unwrap(), HandshakeError::Secret));
}
