#![allow(clippy::unwrap_used)]

use super::super::Limits;
use super::super::document::read;
use super::super::store::Store;
use super::*;
use serde_json::json;

/// A trace of two services: `shop` took 1.5 s and failed in `orders`, which was throttled.
fn store() -> Store {
    let mut store = Store::new(Limits::default());
    let shop = json!({
        "trace_id": "1-00000001-000000000000000000000001", "id": "0000000000000001",
        "name": "shop", "start_time": 10.0, "end_time": 11.5, "fault": true, "user": "ann",
        "http": {"request": {"method": "GET", "url": "http://shop/cart"}, "response": {"status": 502}},
        "annotations": {"tier": "gold", "total": 12, "paid": false, "a.b": "c"},
    });
    let orders = json!({
        "trace_id": "1-00000001-000000000000000000000001", "id": "0000000000000002",
        "parent_id": "0000000000000001", "name": "orders", "start_time": 10.5, "end_time": 13.0,
        "error": true, "throttle": true,
    });
    for document in [shop, orders] {
        let text = document.to_string();
        let document = read(&text, 1 << 16).unwrap();
        store.put(text, document);
    }
    store
}

fn takes(filter: &str) -> bool {
    let store = store();
    let (_, trace) = store.traces().next().unwrap();
    Filter::parse(filter).unwrap_or_else(|e| panic!("{filter}: {e}")).takes(trace)
}

#[test]
fn conditions_hold_or_not() {
    for filter in [
        "",
        "  ",
        "fault",
        "FAULT = true",
        "error != false",
        "throttle AND error",
        "NOT ok",
        "!ok and !partial",
        "responsetime > 1.4",
        "responsetime <= 1.5 AND responsetime >= 1.5",
        "duration = 3",
        "http.status = 502",
        "http.status != 500",
        "http.url CONTAINS \"cart\"",
        "http.url beginswith \"http://shop\" AND http.url ENDSWITH \"cart\"",
        "http.method = \"GET\"",
        "user = \"ann\"",
        "service(\"orders\")",
        "service(\"orders\") { throttle AND responsetime > 2 }",
        "service(\"shop\") { fault AND NOT error }",
        "annotation.tier = \"gold\"",
        "annotation[tier] CONTAINS \"ol\"",
        "annotation[\"a.b\"] = \"c\" AND annotation.a.b = \"c\"",
        "annotation.total > 11",
        "annotation.total != 13",
        "annotation.paid = false",
        "annotation.paid != true",
        "annotation.tier",
        // AND binds closer than OR.
        "fault OR fault AND ok",
        "(ok OR fault) AND error",
    ] {
        assert!(takes(filter), "{filter}");
        if !filter.trim().is_empty() {
            assert!(!takes(&format!("NOT ({filter})")), "NOT ({filter})");
        }
    }
    for filter in [
        "ok",
        "partial",
        "responsetime > 2",
        "http.status = 200",
        "http.clientip = \"::1\"",
        "http.url = \"HTTP://shop/cart\"",
        "service(\"Shop\")",
        "service(\"shop\") { throttle }",
        "annotation.tier = \"silver\"",
        "annotation.tier = 1",
        "annotation.total = \"12\"",
        "annotation.other",
        "annotation.other != \"x\"",
    ] {
        assert!(!takes(filter), "{filter}");
    }
}

#[test]
fn faults_say_where_and_what() {
    for (filter, expected) in [
        ("falt", "at 0: \"falt\" is not known; here are ok,"),
        ("fault error", "at 6: AND, OR or the end is wanted"),
        ("fault AND", "at 9: a condition is wanted"),
        ("(fault", "at 6: ) is wanted"),
        ("service(orders)", "at 8: a text in double quotes is wanted"),
        ("service(\"orders\") {", "at 19: a condition is wanted"),
        ("responsetime", "at 12: one of = != < <= > >= is wanted"),
        ("responsetime > \"1\"", "at 15: a number is wanted"),
        ("responsetime > 1s", "at 15: \"1s\" is no number"),
        ("http.url > \"a\"", "at 9: one of = != CONTAINS BEGINSWITH ENDSWITH is wanted"),
        ("annotation.k > true", "at 13: true and false are compared with = or !="),
        ("annotation.k = ", "at 15: a text in double quotes is wanted"),
        ("annotation[", "at 11: the key of an annotation is wanted"),
        ("error = maybe", "at 8: true or false is wanted"),
        ("user = \"ann", "at 7: a text without its closing quote"),
        ("fault & error", "at 6: '&' does not belong here"),
        ("edge(\"a\", \"b\")", "at 0: \"edge\" is not known"),
        (&"(".repeat(100), "nested deeper than 32"),
        (&"!".repeat(100), "nested deeper than 32"),
        (&"a".repeat(3000), "longer than 2000 bytes"),
    ] {
        let fault = Filter::parse(filter).unwrap_err();
        assert!(fault.contains(expected), "{filter}: {fault}");
    }
}
