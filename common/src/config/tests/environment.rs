//! Variables: what expands to what, and what is said about it.

use super::*;

fn env(name: &str) -> Option<String> {
    let value = match name {
        "PORT" => "4317",
        "EMPTY" => "",
        "LIST" => "[a, b]",
        "NAME_OF" => "PORT",
        "NESTED" => "${env:PORT}",
        "SELF" => "x${env:SELF}",
        "LOUD" => "a: b: c",
        "LEADING" => "0123",
        "MAP" => "{k: 1, wrong: 2}",
        "BIG" => return Some("x".repeat(60_000)),
        _ => return None,
    };
    Some(value.to_owned())
}

fn text(value: &str) -> (String, Vec<String>) {
    let yaml = format!("v: {value}\n");
    let read = read_with(&yaml, &env, |r| r.string_or("v", "(default)"));
    read.unwrap_or_else(|e| panic!("{value}: {e}"))
}

#[test]
fn texts() {
    for (value, want) in [
        ("${env:PORT}", "4317"),
        ("${PORT}", "4317"),
        ("127.0.0.1:${env:PORT}", "127.0.0.1:4317"),
        ("${env:PORT}-${PORT}", "4317-4317"),
        ("${env:NO:-7}", "7"),
        ("${NO:-7}", "7"),
        ("${env:NO:-}", ""),
        ("${env:EMPTY:-7}", ""),
        ("${env:NO:-http://h:1/}", "http://h:1/"),
        ("${env:NESTED}", "4317"),
        ("${env:${env:NAME_OF}}", "4317"),
        ("${env:LOUD}", "a: b: c"),
        ("${env:LEADING}", "0123"),
        ("$${env:PORT}", "${env:PORT}"),
        ("$$$${PORT}", "$${PORT}"),
        ("$$${PORT}", "$4317"),
        ("a$$b", "a$b"),
        ("cost $5", "cost $5"),
        ("\"${env:PORT}\"", "4317"),
        ("x}${PORT}", "x}4317"),
    ] {
        assert_eq!(text(value), (want.to_owned(), Vec::new()), "{value}");
    }
}

/// The cause is said where it matters, and what follows from an error is not an error as well.
#[test]
fn one_error_with_its_cause() {
    for (value, want) in [
        ("${env:NO}", "v: is missing (NO is not set)"),
        ("${file:/none}", "v: /none cannot be read: No such file or directory (os error 2)"),
        ("a${1}", "v: \"1\" is no name of an environment variable"),
    ] {
        let read = |r: &Reader<'_>| r.required("v", "write v");
        let errors = read_with(&format!("v: {value}\n"), &env, read).expect_err(value);
        let [head] = heads(&errors)[..] else { panic!("{errors}") };
        assert!(head.ends_with(want), "{errors}");
    }
}

#[test]
fn unset_is_empty_with_a_note() {
    let note = "v: environment variable NO is not set, taken as empty".to_owned();
    assert_eq!(text("a${env:NO}b"), ("ab".to_owned(), vec![note.clone()]));
    assert_eq!(text("${env:NO}"), (String::new(), vec![note]));
    // What is not text keeps its default.
    let int = read_with("v: ${env:NO}", &env, |r| r.int_or("v", 5, 0)).map(|(v, _)| v);
    assert_eq!(int, Ok(5));
}

#[test]
fn a_variable_without_braces_is_noted_and_stays() {
    let note = "v: a `$` without braces is taken as it is: write ${env:NAME} for a variable";
    assert_eq!(text("a$PORT"), ("a$PORT".to_owned(), vec![note.to_owned()]));
    for plain in ["a$$PORT", "cost $5", "end$"] {
        assert_eq!(text(plain).1, Vec::<String>::new(), "{plain}");
    }
}

#[test]
fn whole_values_are_yaml() {
    assert_eq!(read_with("v: ${env:PORT}", &env, |r| r.int_or("v", 0, 0)).map(|v| v.0), Ok(4317));
    let list = read_with("v: ${env:LIST}", &env, |r| r.strings("v")).map(|v| v.0);
    assert_eq!(list, Ok(vec!["a".to_owned(), "b".to_owned()]));
}

#[test]
fn errors_are_placed_at_the_variable() {
    let fail = |yaml: &str| read_with(yaml, &env, |r| r.string_or("v", "")).expect_err("an error");
    assert_eq!(
        fail("v: a${file:x}"),
        "f.yaml:1:5: v: x cannot be read: No such file or directory (os error 2)\n  1 | v: \
        a${file:x}\n    |     ^^^^^^^^^\n    = name a readable file of UTF-8 text\n"
    );
    assert_eq!(
        heads(&fail("v: ${env:1X}")),
        ["f.yaml:1:4: v: \"1X\" is no name of an environment variable"]
    );
    assert_eq!(heads(&fail("v: ${env:SELF}")), ["f.yaml:1:4: v: a variable that names itself"]);
    assert_eq!(heads(&fail("v: ${BIG}${BIG}")), ["f.yaml:1:4: v: expands to too much text"]);
    let map = read_with("v: ${env:MAP}", &env, |r| {
        r.map_or_empty("v").int_or("k", 0, 0);
    });
    assert_eq!(heads(&map.expect_err("an error")), ["f.yaml:1:4: v.wrong: unknown key"]);
}
