//! What the golden data does not hold: odd stacks, and those that crash the exporter this follows.

use serde_json::{Value, json};

use super::*;
use crate::json::Json;

/// The exceptions that come of one with this stack, without ids.
fn parse(language: Language, stack: &str) -> Vec<Value> {
    let mut json = Json::default();
    json.raw("{");
    let mut next = 0;
    let mut invent = || {
        next += 1;
        next
    };
    let mut exceptions = Exceptions::begin(&mut json, &mut invent);
    exceptions.exception(b"T", b"m", Some(false));
    language.parse(stack.as_bytes(), &mut exceptions);
    exceptions.end();
    json.raw("}");
    let mut text: Value = serde_json::from_slice(&json.into_plain()).expect("JSON");
    let Value::Array(mut list) = text["cause"]["exceptions"].take() else { panic!("no list") };
    for (i, exception) in list.iter_mut().enumerate() {
        let members = exception.as_object_mut().expect("an object");
        assert_eq!(members.remove("id"), Some(json!(format!("{:016x}", i + 1))));
        if let Some(cause) = members.remove("cause") {
            assert_eq!(cause, format!("{:016x}", i + 2));
        }
    }
    list
}

fn stack(language: Language, stack: &str) -> Value {
    parse(language, stack)[0]["stack"].clone()
}

fn caused(language: Language, stack: &str) -> (Value, Value) {
    let list = parse(language, stack);
    assert_eq!(list.len(), 2, "{list:?}");
    (list[1]["type"].clone(), list[1]["message"].clone())
}

fn frame(path: &str, label: &str, line: i64) -> Value {
    json!({"path": path, "label": label, "line": line})
}

#[test]
fn integers() {
    let cases: [(&[u8], i64); 12] = [
        (b"12", 12),
        (b"+7", 7),
        (b"-7", -7),
        (b"", 0),
        (b"-", 0),
        (b"1_0", 0),
        (b" 1", 0),
        (b"99999999999999999999", i64::MAX),
        (b"-99999999999999999999", i64::MIN),
        (b"-9223372036854775808", i64::MIN),
        (b"10000000000000000000x", 0),
        (b"99999999999999999999x", i64::MAX),
    ];
    for (text, want) in cases {
        assert_eq!(integer(text), want, "{text:?}");
    }
}

#[test]
fn lines_end_at_lf() {
    let all = |text: &'static [u8]| lines(text).collect::<Vec<_>>();
    assert_eq!(all(b"a\r\nb\rc\n\nd\r"), [&b"a"[..], b"b\rc", b"", b"d\r"]);
    assert_eq!(all(b"a\n").len(), 1);
    assert_eq!(all(b"").len(), 0);
}

#[test]
fn first_line_is_skipped() {
    for language in [Language::Java, Language::JavaScript, Language::DotNet, Language::Go] {
        for text in ["", "\tat a.b(C:1)", "    at a (b:1:2)\n", "   at a() in b:line 1\r\n"] {
            assert_eq!(stack(language, text), Value::Null);
        }
    }
    assert_eq!(stack(Language::Python, "  File \"a\", line 1, in b"), Value::Null);
}

#[test]
fn java() {
    let text = "E: m\n\tat app//x.Y.z(Y.java:12)\n\tat n(Native Method)\n\
                \tat o(\n\tat (p:x)\n\t... 3 more";
    let want = [frame("Y.java", "/x.Y.z", 12), frame("Native Method", "n", 0), frame("p", "", 0)];
    assert_eq!(stack(Language::Java, text), json!(want));
    assert_eq!(
        caused(Language::Java, "E\nCaused by: F: a\nb\n\t... 1 more\n\tat c(d:1)\n"),
        (json!("F"), json!("ab\t... 1 more"))
    );
    // A colon at the end of the line has no text two bytes after it.
    assert_eq!(caused(Language::Java, "E\nCaused by: F:"), (json!("F"), json!("")));
    assert_eq!(caused(Language::Java, "E\nCaused by: F:x\n"), (json!("F"), json!("")));
}

#[test]
fn python() {
    let text =
        "T:\n  File \"a.py\", line 1, in f\n    x()\n  File \"b.py\", line 2, in g\n    y()\nE: m";
    let want = [frame("b.py", "g", 2), frame("a.py", "f", 1)];
    assert_eq!(stack(Language::Python, text), json!(want));

    let marker = "During handling of the above exception, another exception occurred:";
    let chain = |message: &str| {
        format!(
            "T\n  File \"a\", line 1, in f\n    x\n{message}\n\n{marker}\n\n\
             T\n  File \"b\", line 2, in g\n    y\nE"
        )
    };
    assert_eq!(caused(Language::Python, &chain("V: a\nb")), (json!("V"), json!("a\nb")));
    // Nothing after the colon.
    assert_eq!(caused(Language::Python, &chain("V:")), (json!("V"), json!("")));
    assert_eq!(parse(Language::Python, &chain("no colon")).len(), 1);
    // No room for a message between the frame and the marker.
    for gap in ["\n", "\n\n", "\n\n\n"] {
        let text = format!("T\n  File \"a\", line 1, in f{gap}{marker}\nE");
        assert_eq!(parse(Language::Python, &text).len(), 1);
    }
    assert_eq!(parse(Language::Python, &format!("{marker}\nE")).len(), 1);
    // No room for a path.
    for file in ["", "x", "\"", "\"\""] {
        let text = format!("T\n  File {file}, line 3, in f\nE");
        assert_eq!(stack(Language::Python, &text), json!([frame("", "f", 3)]), "{file}");
    }
}

#[test]
fn javascript() {
    let text = "E\n    at f (a.js:1:2)\n    at b.js:3:4\n    at g (native)\n\
\x20   at h (x\n    at i (c.js:7)\n    at (";
    let want = [
        frame("a.js", "f ", 1),
        frame("b.js", "", 3),
        frame("native", "g ", 0),
        frame("c.js:7", "i ", 0),
    ];
    assert_eq!(stack(Language::JavaScript, text), json!(want));
}

#[test]
fn dotnet() {
    let text =
        "E\n   at A.B(C c) in D.cs:line 5\r\n at F()x\nat G\n\u{a0}at H in i in j\nat K in l:m";
    let want =
        [frame("D.cs", "A.B(C c)", 5), frame("", "F()", 0), frame("i", "H", 0), frame("l", "K", 0)];
    assert_eq!(stack(Language::DotNet, text), json!(want));
    // Nothing behind `line`.
    assert_eq!(stack(Language::DotNet, "E\nat a in x:line"), json!([frame("x", "a", 0)]));
    // No room for a label.
    assert_eq!(stack(Language::DotNet, "E\nat in x"), Value::Null);
}

#[test]
fn go() {
    let text = "E\ngoroutine 1 [running]:\nmain.f()\n\t/a.go:12 +0x1\nmain.g()\nnowhere\n\
                goroutine 2 [xrunning]:\n";
    let want = [
        frame("/a.go", "main.f()", 12),
        frame("/a.go", "main.g()", 12),
        frame("/a.go", "goroutine 2 [xrunning]:", 12),
    ];
    assert_eq!(stack(Language::Go, text), json!(want));
    for header in ["goroutine running:", "goroutine xrunning running :"] {
        assert_eq!(stack(Language::Go, &format!("E\n{header}")), json!([frame("", "", 0)]));
    }
    for label in ["goroutinerunning:", "goroutine 1 running", "xgoroutine 1 running:"] {
        assert_eq!(stack(Language::Go, &format!("E\n{label}")), json!([frame("", label, 0)]));
    }
    for (line, path, number) in [("a::1 b:2", "b", 2), (":3 c:x d:4e", "d", 4), ("e:1:2", "e", 1)] {
        let got = stack(Language::Go, &format!("E\nf\n{line}"));
        assert_eq!(got, json!([frame(path, "f", number)]), "{line}");
    }
}

#[test]
fn repeated_paths_are_bounded() {
    let path = "p".repeat(100_000);
    let text = format!("E\nf\n{path}:1\n{}", "\n".repeat(100_000));
    let frames = stack(Language::Go, &text);
    let count = frames.as_array().map_or(0, Vec::len);
    assert!((10..20).contains(&count), "{count} frames");
}
