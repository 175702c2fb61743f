#![allow(clippy::unwrap_used)]

use super::*;
use std::time::Duration;

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.parse().unwrap());
    headers
}

#[test]
fn a_known_token_is_let_in_and_nothing_else() {
    let tokens = ["one".to_owned(), "two".to_owned()];
    let checker = Checker::Bearer(Tokens::new(AUTHORIZATION, "Bearer", &tokens).unwrap());
    for good in ["Bearer one", "Bearer two"] {
        checker.check(&headers(good)).unwrap();
    }
    for bad in ["Bearer on", "Bearer onee", "Basic one", "one", "Bearer  one", ""] {
        let denied = checker.check(&headers(bad)).unwrap_err();
        assert_eq!(denied.scheme, "Bearer");
        assert!(!denied.to_string().contains("one"), "{denied}");
    }
    checker.check(&HeaderMap::new()).unwrap_err();
}

#[test]
fn tokens_of_a_file_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "old\n").unwrap();
    let tokens = Tokens::from_file(AUTHORIZATION, "Bearer", file.clone(), Duration::ZERO).unwrap();
    let checker = Checker::Bearer(tokens);
    checker.check(&headers("Bearer old")).unwrap();
    std::fs::write(&file, "new\nold\n").unwrap();
    checker.check(&headers("Bearer new")).unwrap();
    std::fs::write(&file, "new\n").unwrap();
    checker.check(&headers("Bearer old")).unwrap_err();
}

#[test]
fn users_by_bcrypt_and_sha() {
    let bcrypt = bcrypt::hash("secret", 4).unwrap();
    // printf pass | openssl sha1 -binary | base64
    let text = format!("ann:{bcrypt}\n# a comment\nbob:{{SHA}}nU4eI71bcnBGqeO0t9tXvY1u5oQ=\n");
    let checker = Checker::Basic(BasicUsers::new(&text, None, Duration::MAX).unwrap());
    let check = |user: &str, password: &str| {
        let mut headers = HeaderMap::new();
        Credentials::basic(user, password).apply(&mut headers);
        checker.check(&headers).is_ok()
    };
    assert!(check("ann", "secret") && check("ann", "secret") && check("bob", "pass"));
    assert!(!check("ann", "pass") && !check("bob", "secret") && !check("eve", "secret"));
    checker.check(&headers("Basic !!!")).unwrap_err();
}

#[test]
fn guessing_is_bounded_and_does_not_keep_out_who_was_in() {
    let text = format!("ann:{}", bcrypt::hash("secret", 4).unwrap());
    let users = BasicUsers::new(&text, None, Duration::MAX).unwrap();
    assert!(users.contains("ann", "secret"));
    let start = std::time::Instant::now();
    let guesses = (0..2000).filter(|n| users.contains("ann", &n.to_string())).count();
    assert_eq!(guesses, 0);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(users.contains("ann", "secret"));
}

#[test]
fn other_hashes_are_refused_with_a_remedy() {
    let error = BasicUsers::new("ann:$apr1$x$y", None, Duration::MAX).unwrap_err();
    assert!(error.contains("htpasswd -nB"), "{error}");
    assert!(BasicUsers::new("", None, Duration::MAX).is_err());
}
