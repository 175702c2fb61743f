//! YAML to a tree: places, anchors, budgets.

use super::super::tree::{Node, Value, parse};

fn show(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar(text) => format!("{text:?}"),
        Value::List(items) => {
            format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|e| format!("{}: {}", e.key, show(&e.node))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[test]
fn trees() {
    for (text, want) in [
        ("", "null"),
        ("# nothing", "null"),
        ("a:", "{a: null}"),
        ("a: ~\nb: 'null'", "{a: null, b: \"null\"}"),
        ("a: !!str null", "{a: \"null\"}"),
        ("a: [1, {b: c}]", "{a: [\"1\", {b: \"c\"}]}"),
        ("a: |\n  x\n  y\n", "{a: \"x\\ny\\n\"}"),
        ("a: &x {k: 1}\nb: *x", "{a: {k: \"1\"}, b: {k: \"1\"}}"),
        (
            "a: &x {k: 1, l: 2}\nb: {<<: *x, k: 3}",
            "{a: {k: \"1\", l: \"2\"}, b: {k: \"3\", l: \"2\"}}",
        ),
        ("---\na: 1\n...\n", "{a: \"1\"}"),
        ("a: 1\n---\n", "{a: \"1\"}"),
        ("a: 1\n---\n# no more\n---\n", "{a: \"1\"}"),
        ("1: x\ntrue: y", "{1: \"x\", true: \"y\"}"),
    ] {
        match parse(text, 0) {
            Ok(node) => assert_eq!(show(&node), want, "{text}"),
            Err(e) => panic!("{text}: {e:?}"),
        }
    }
}

#[test]
fn as_deep_as_allowed() {
    let text = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    assert!(parse(&text, 0).is_ok());
}

#[test]
fn refusals() {
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let (deep, deepest) = (nested(33), nested(100_000));
    let stairs: String = (0..40).map(|n| format!("{}k:\n", " ".repeat(n))).collect();
    let wide = format!("[{}]", "1,".repeat(60_000));
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..10 {
        let list = format!("*a{},", i - 1).repeat(10);
        laughs += &format!("a{i}: &a{i} [{list}]\n");
    }
    for (text, want) in [
        ("a: 1\n b: 2", "not valid YAML"),
        ("a: 1\na: 2", "key \"a\" is given twice; first in line 1"),
        ("a: [1", "not valid YAML"),
        ("a: \u{7}", "a control character"),
        ("a: 1\n---\nb: 2", "a second YAML document"),
        ("? [a]\n: b", "a mapping or a list as a key"),
        ("a: !x 1", "tag !x is not known"),
        ("a: &x [*x]", "an alias of an unfinished anchor"),
        ("a: *x", "not valid YAML"),
        ("a: {<<: 1}", "only mappings can be merged"),
        (&deep, "nested deeper than 32 levels"),
        (&stairs, "nested deeper than 32 levels"),
        (&deepest, "not valid YAML: recursion limit exceeded"),
        (&wide, "more than 50000 values"),
        (&laughs, "more than 50000 values"),
    ] {
        let error = parse(text, 0).expect_err(want);
        assert!(error.message.contains(want), "{want}: {error:?}");
        assert!(error.mark.line >= 1, "{want}: {error:?}");
    }
}

#[test]
fn places() {
    let node = parse("a: 1\nbc:\n  - {d: e}\n", 0).unwrap();
    let Value::Map(entries) = &node.value else { panic!("{node:?}") };
    assert_eq!((entries[0].node.mark.line, entries[0].node.mark.col), (1, 4));
    assert_eq!((entries[1].mark.line, entries[1].mark.col, entries[1].mark.len), (2, 1, 2));
    let Value::List(items) = &entries[1].node.value else { panic!("{node:?}") };
    let Value::Map(inner) = &items[0].value else { panic!("{node:?}") };
    assert_eq!((inner[0].mark.line, inner[0].mark.col), (3, 6));
    assert_eq!((inner[0].node.mark.line, inner[0].node.mark.col), (3, 9));
}
