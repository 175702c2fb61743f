#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn check(pattern: &str, hits: &[&str], misses: &[&str]) {
    let regex = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for text in hits {
        assert!(regex.is_match(text.as_bytes()), "{pattern} must match {text:?}");
    }
    for text in misses {
        assert!(!regex.is_match(text.as_bytes()), "{pattern} must not match {text:?}");
    }
}

/// What Go's `regexp` answers.
#[test]
fn tokens_that_differ() {
    check(r"^\d+$", &["12"], &["\u{663}", "", "x"]);
    check(r"^\D$", &["\u{663}", "x"], &["3"]);
    check(r"^\w\W$", &["a-", "a\u{e9}"], &["\u{e9}-"]);
    check(r"^[\w-]+$", &["a-b_"], &["\u{e9}", "a b"]);
    check(r"^[^\d]$", &["x"], &["1"]);
    check(r"^[\D1]$", &["x", "1"], &["2"]);
    check(r"x\sy", &["x y", "x\ty"], &["x\u{a0}y", "x\u{b}y"]);
    check(r"na\b", &["na\u{ef}ve", "na x"], &["nax"]);
    check(r"^[a&&b]$", &["a", "&", "b"], &["c"]);
    check(r"^[+--b~~c]+$", &["-~bc,"], &["z", "a"]);
    check(r"^[[x]x?\]?$", &["[x]", "[", "x"], &["]"]);
    check(r"^[]a]+$", &["]a"], &["b"]);
    check(r"^[^]a]$", &["b"], &["]"]);
    check(r"^[a-]$", &["-"], &["b"]);
    check(r"^[[:^alpha:]]$", &["1"], &["a"]);
    check(r"^\Qa.b\E+$", &["a.b", "a.bbb"], &["axb"]);
    check(r"\Q[", &["["], &["x"]);
    check(r"^\101\0\x41\x{1F600}$", &["A\0A\u{1f600}"], &["A"]);
    check(r"^a{,2}$", &["a{,2}"], &["aa", ""]);
    check(r"^a{x}{$", &["a{x}{"], &["a"]);
    check(r"^a{01}$", &["a{01}"], &["a"]);
    check(r"^a{2,}}$", &["aa}", "aaaa}"], &["a}"]);
    check(r"^\<a\>\_$", &["<a>_"], &["a"]);
    check(r"(?i)^k\z", &["k", "K", "\u{212a}"], &["k\n"]);
    check(r"(?i)^[a-k]$", &["\u{212a}"], &["l"]);
    check(r"(?i:A)b(?-i:C)", &["abC"], &["aBC", "abc"]);
    check(r"(?P<x>a)(?<y>b)", &["ab"], &["a"]);
    check(r"^\p{^Greek}\P{Greek}\pL$", &["abc"], &["\u{3b1}bc"]);
    check(r"(?s)^a.b$", &["a\nb"], &["ab"]);
    check(r"(?m)^foo$", &["x\nfoo\ny"], &["xfoo"]);
    check(r"# a", &["x# a"], &["a"]);
    check(r"", &["", "x"], &[]);
    check(r"x*?y+?z??a{1,2}?", &["ya"], &["a"]);
    check(r"(a|)*^*", &["", "b"], &[]);
}

#[test]
fn what_re2_refuses_is_refused() {
    let bad = [
        "(foo",
        "foo)",
        r"(a)\1",
        "x**",
        "x*{2}",
        "x{2}{3}",
        "x+??",
        "*",
        "foo(?=bar)",
        "(?x)a b",
        "(?R)a",
        "(?#c)",
        "x{1001}",
        "x{3,2}",
        "x{99999999999}",
        "[a",
        "[",
        "[b-a]",
        r"[a-\d]",
        "[[:foo:]]",
        "[[:a] :]",
        r"\Z",
        r"\C",
        r"\E",
        r"\8",
        r"\x{}",
        r"\x{110000}",
        r"\xg1",
        r"\x1",
        r"\p",
        r"\p{",
        r"\p{Nope}",
        r"\p{sc=Greek}",
        r"\",
        "\\\u{e9}",
        "(?P=x)",
        "(?i",
        r"\b{start}",
        "(?P<x>a)(?P<x>b)",
        r"[\b]",
    ];
    for pattern in bad {
        // Here RE2 reads a literal after the boundary.
        if pattern == r"\b{start}" {
            check(pattern, &["a{start}"], &["{start}"]);
            continue;
        }
        assert!(compile(pattern).is_err(), "{pattern} must be refused");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    assert_eq!(compile("(foo").unwrap_err(), "unclosed group");
    assert_eq!(compile("x**").unwrap_err(), "invalid nested repetition operator");
    assert_eq!(compile(r"(\pL{1000}){9}").unwrap_err(), "larger than 1048576 bytes when compiled");
}

proptest! {
    /// Quoted text means itself, whatever it is.
    #[test]
    fn escaped_text_matches_itself(text in any::<String>()) {
        let regex = compile(&format!("^{}$", regex::escape(&text))).unwrap();
        prop_assert!(regex.is_match(text.as_bytes()));
    }

    #[test]
    fn never_panics(pattern in r"[\\(){}\[\]*+?|^$.:<>,\-&a-fA-FpPQExdwsbzi0-9\u{e9}]{0,24}") {
        let _ = compile(&pattern);
    }
}
/// 1,200 random patterns and what Go 1.26's `regexp` says of each: whether it compiles, and which
/// of the texts in the first line match.
#[test]
fn go_agrees() {
    let mut lines = include_str!("../tests/go_regexp.jsonl").lines();
    let texts: Vec<String> = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut compiled = 0;
    for line in lines.by_ref() {
        let (pattern, expected): (String, Option<String>) = serde_json::from_str(line).unwrap();
        let bit = |regex: &Regex, text: &String| {
            if regex.is_match(text.as_bytes()) { '1' } else { '0' }
        };
        let ours = compile(&pattern).ok();
        let ours = ours.map(|regex| texts.iter().map(|text| bit(&regex, text)).collect::<String>());
        assert_eq!(ours, expected, "{pattern:?}");
        compiled += usize::from(expected.is_some());
    }
    assert_eq!(compiled, 800);
}
