//! Keys, and that the two ways of writing agree.

use proptest::prelude::*;
use serde_json::Value as Parsed;
use tailgate_proto::view::Attributes;
use tailgate_proto::wire::put_len;

use super::*;

#[test]
fn annotation_keys() {
    let fixed = |key: &[u8], dot| String::from_utf8(annotation_key(key, dot)).expect("ASCII");
    assert_eq!(fixed("a-b.c na\u{ef}ve\u{1f680}".as_bytes(), true), "a_b.c_na_ve_");
    assert_eq!(fixed(b"a.b_c", false), "a_b_c");
    assert_eq!(fixed(b"a\xff\xfe", true), "a__");
}

const KEYS: [&str; 9] =
    ["a", "b", "x.y", "c_d", "http.method", "db.name", "rpc.method", "enduser.id", "k"];

/// A list of attributes as field 1: key, and a value that tells them apart.
fn encoded(list: &[(&str, u8)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (i, (key, kind)) in list.iter().enumerate() {
        let mut value = Vec::new();
        match kind {
            0 => {}
            1 => put_len(&mut value, 5, &[]),
            2 => put_len(&mut value, 7, &[i as u8]),
            _ => put_len(&mut value, 1, format!("v{i}").as_bytes()),
        }
        let mut pair = Vec::new();
        put_len(&mut pair, 1, key.as_bytes());
        put_len(&mut pair, 2, &value);
        put_len(&mut out, 1, &pair);
    }
    out
}

fn parsed(write: impl FnOnce(&mut Json)) -> Parsed {
    let mut json = Json::default();
    json.raw("{");
    write(&mut json);
    json.raw("}");
    serde_json::from_slice(&json.into_plain()).expect("JSON")
}

fn attributes() -> impl Strategy<Value = Vec<(&'static str, u8)>> {
    prop::collection::vec((prop::sample::select(KEYS.as_slice()), 0_u8..6), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_ways_agree(
        span in attributes(),
        resource in attributes(),
        indexed in prop::collection::vec(prop::sample::select(KEYS.as_slice()), 0..3),
        index_all_attributes in any::<bool>(),
        segment in any::<bool>(),
        resource_only in any::<bool>(),
        sql in any::<bool>(),
        stable in any::<bool>(),
    ) {
        let mut indexed_attributes: Vec<String> = indexed.iter().map(|s| s.to_string()).collect();
        indexed_attributes.extend(indexed.iter().map(|key| format!("otel.resource.{key}")));
        indexed_attributes.sort_unstable();
        let options = Options { indexed_attributes, index_all_attributes, ..Options::default() };
        let (span, resource) = (encoded(&span), encoded(&resource));
        let (mut attrs, mut resource_attrs) = (Attrs::default(), Attrs::default());
        attrs.load(Attributes::new(&span, 1));
        resource_attrs.load(Attributes::new(&resource, 1));
        let mut storage = Storage::default();
        storage.load(&resource_attrs, &options);
        let stored = Stored {
            attrs: &attrs,
            options: &options,
            resource: segment.then_some((&resource_attrs, &storage)),
            taken: Taken {
                http: true,
                aws_call: true,
                method: true,
                sql,
                stable,
                addresses: http::Shown::ALL,
            },
            status_text: false,
            resource_only,
            decision: None,
        };
        let mut order = Vec::new();
        stored.choose(&mut order);
        prop_assert!(stored.is_simple(&order));
        let simple = parsed(|json| {
            stored.write_annotations(json, &order);
            stored.write_metadata(json, &order);
        });
        order.sort_unstable();
        let merged = parsed(|json| {
            let maps = stored.merged(&order);
            maps.write_annotations_member(json);
            maps.write_metadata(json, stored.resource_only);
        });
        prop_assert_eq!(simple, merged);
    }
}
