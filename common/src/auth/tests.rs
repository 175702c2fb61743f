#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::Secret;
use sha1::{Digest, Sha1};
use std::sync::Arc;
use std::time::Instant;

fn headers(value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.parse().unwrap());
    headers
}

fn users(text: &str) -> BasicUsers {
    BasicUsers::new(text, None, Duration::MAX).unwrap()
}

fn inline(text: &str) -> SecretSource {
    SecretSource::Inline(Secret::new(text))
}

#[tokio::test]
async fn a_known_token_is_let_in_and_nothing_else() {
    let tokens = ["one".to_owned(), "two".to_owned()];
    let checker = Checker::Bearer(Tokens::new(AUTHORIZATION, "Bearer", &tokens).unwrap());
    for good in ["Bearer one", "Bearer two"] {
        checker.check(&headers(good)).await.unwrap();
    }
    for bad in ["Bearer on", "Bearer onee", "Basic one", "one", "Bearer  one", ""] {
        let denied = checker.check(&headers(bad)).await.unwrap_err();
        assert!(matches!(denied, Denied::Unknown { scheme: Scheme::Bearer, .. }));
        assert!(!denied.to_string().contains("one"), "{denied}");
    }
    checker.check(&HeaderMap::new()).await.unwrap_err();
}

#[tokio::test]
async fn tokens_of_a_file_follow_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tokens");
    std::fs::write(&file, "old of last year\n").unwrap();
    let tokens = Tokens::from_file(AUTHORIZATION, "Bearer", file.clone(), Duration::ZERO).unwrap();
    let checker = Checker::Bearer(tokens);
    checker.check(&headers("Bearer old")).await.unwrap();
    std::fs::write(&file, "new\n\n old\n").unwrap();
    checker.check(&headers("Bearer new")).await.unwrap();
    checker.check(&headers("Bearer old")).await.unwrap();
    std::fs::write(&file, "new\n").unwrap();
    checker.check(&headers("Bearer old")).await.unwrap_err();
    // An empty file would let nobody in, which nobody means.
    std::fs::write(&file, "\n").unwrap();
    checker.check(&headers("Bearer new")).await.unwrap();
}

#[tokio::test]
async fn users_by_each_kind_of_hash() {
    let bcrypt = bcrypt::hash("secret", 4).unwrap();
    // printf pass | openssl sha1 -binary | base64; with `salt` behind it for the salted one.
    let salted = STANDARD.encode([&Sha1::digest("passsalt")[..], b"salt"].concat());
    let text = format!(
        "ann:{bcrypt}\n# a comment\nbob:{{SHA}}nU4eI71bcnBGqeO0t9tXvY1u5oQ=\n\
         cyd:{{SSHA}}{salted}\ndan:pass\neli:{{PLAIN}}pass\n"
    );
    let checker = Checker::Basic(users(&text));
    let check = async |user: &str, password: &str| {
        let mut headers = HeaderMap::new();
        let credentials = Credentials::basic(&inline(user), &inline(password), Duration::MAX);
        credentials.unwrap().apply(&mut headers);
        checker.check(&headers).await.is_ok()
    };
    assert!(check("ann", "secret").await && check("ann", "secret").await);
    for user in ["bob", "cyd", "dan", "eli"] {
        assert!(check(user, "pass").await, "{user}");
        assert!(!check(user, "secret").await && !check(user, "").await, "{user}");
    }
    assert!(!check("ann", "pass").await && !check("eve", "secret").await);
    let denied = checker.check(&headers("Basic !!!")).await.unwrap_err();
    assert!(matches!(denied, Denied::Unknown { scheme: Scheme::Basic, .. }));
}

#[tokio::test]
async fn the_text_counts_before_the_file_and_the_file_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    std::fs::write(&file, "ann:old\nbob:old\n").unwrap();
    let users = BasicUsers::new("ann:inline\n", Some(file.clone()), Duration::ZERO).unwrap();
    assert_eq!(users.contains("ann", "inline").await, Ok(true));
    assert_eq!(users.contains("ann", "old").await, Ok(false));
    assert_eq!(users.contains("bob", "old").await, Ok(true));
    std::fs::write(&file, "bob:new\n").unwrap();
    assert_eq!(users.contains("bob", "new").await, Ok(true));
    assert_eq!(users.contains("bob", "old").await, Ok(false));
}

#[tokio::test]
async fn guessing_holds_up_neither_the_runtime_nor_who_was_in() {
    let users = Arc::new(users(&format!("ann:{}", bcrypt::hash("secret", 8).unwrap())));
    assert_eq!(users.contains("ann", "secret").await, Ok(true));
    let mut guesses = tokio::task::JoinSet::new();
    for n in 0..500 {
        let (users, who) = (users.clone(), if n % 2 == 0 { "ann" } else { "nobody" });
        guesses.spawn(async move { users.contains(who, &n.to_string()).await });
    }
    // On the one thread of this runtime, while guesses are tried.
    let begun = Instant::now();
    for _ in 0..200 {
        assert_eq!(users.contains("ann", "secret").await, Ok(true));
        tokio::task::yield_now().await;
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    let answers = guesses.join_all().await;
    assert!(!answers.contains(&Ok(true)));
    assert!(answers.iter().filter(|answer| answer.is_err()).count() > 400, "places are bounded");
    // What was wrong is remembered: it waits for nobody's turn.
    let wrong = answers.iter().position(Result::is_ok).unwrap();
    let who = if wrong % 2 == 0 { "ann" } else { "nobody" };
    assert_eq!(users.contains(who, &wrong.to_string()).await, Ok(false));
}

#[test]
fn what_cannot_be_taken_is_refused_with_a_remedy_and_without_the_hash() {
    for (text, want) in [
        ("ann:$apr1$hush$y", "line 1: of hashes, bcrypt"),
        ("bob:x\nann:$2y$31$hush", "line 2: a bcrypt cost above 14"),
        ("ann:$2y$hush", "line 1 is no user:hash"),
        ("hush", "line 1 is no user:hash"),
        ("ann:{SHA}hush", "line 1 is no user:hash"),
        ("# hush", "there is no user"),
    ] {
        let error = BasicUsers::new(text, None, Duration::MAX).unwrap_err();
        assert!(error.contains(want) && !error.contains("hush"), "{error}");
    }
}

#[test]
fn a_password_from_a_file_follows_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "old\n").unwrap();
    let source = SecretSource::File(file.clone());
    let credentials = Credentials::basic(&inline("ann"), &source, Duration::ZERO).unwrap();
    let sent = || {
        let mut headers = HeaderMap::new();
        credentials.apply(&mut headers);
        parse_basic(&headers[AUTHORIZATION]).unwrap().1
    };
    assert_eq!(sent(), "old");
    std::fs::write(&file, "new").unwrap();
    assert_eq!(sent(), "new");
    assert!(!format!("{credentials:?}").contains("new"));
}
