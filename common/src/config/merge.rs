//! Several configurations as one, by the collector's rules.
//!
//! Source: confmap v1.67, `Conf.Merge` (koanf): mappings are merged key by key, lists and scalars
//! are replaced, and a key without a value keeps what was there only if nothing was.

use super::error::Diag;
use super::tree::{Entry, Node, Value};

/// What is nested is walked by recursion.
const MAX_PARTS: usize = 32;

impl Node {
    /// Takes over what `later` says.
    pub fn merge(&mut self, later: Self) {
        match (&mut self.value, later) {
            (Value::Map(entries), Self { value: Value::Map(more), .. }) => {
                for entry in more {
                    match entries.iter_mut().find(|have| have.key == entry.key) {
                        Some(have) => have.take(entry),
                        None => entries.push(entry),
                    }
                }
            }
            (_, later) => *self = later,
        }
    }

    /// Makes `a::b: c` into `a: {b: c}` at the top. A key of too many parts is an error in `diag`.
    pub fn nest_keys(&mut self, diag: &Diag) {
        let Value::Map(entries) = &mut self.value else { return };
        for entry in std::mem::take(entries) {
            if entry.key.matches("::").count() >= MAX_PARTS {
                let what = format!("a key of more than {MAX_PARTS} parts");
                diag.error(entry.mark, what, "no configuration needs as many");
                continue;
            }
            let mut nested =
                Self { value: Value::Map(Vec::new()), mark: entry.mark, original: None };
            let parts: Vec<&str> = entry.key.split("::").collect();
            let mut node = entry.node;
            for part in parts.iter().rev() {
                let key = (*part).to_owned();
                let value = Value::Map(vec![Entry { key, mark: entry.mark, node }]);
                node = Self { value, mark: entry.mark, original: None };
            }
            nested.merge(node);
            let Value::Map(made) = nested.value else { continue };
            for entry in made {
                match entries.iter_mut().find(|have| have.key == entry.key) {
                    Some(have) => have.take(entry),
                    None => entries.push(entry),
                }
            }
        }
    }
}

impl Entry {
    /// The later entry's place is where an error is shown.
    fn take(&mut self, later: Self) {
        self.mark = later.mark;
        self.node.merge(later.node);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::config::Input;

    fn load(configs: &[&str], settings: &[&str]) -> Result<String, String> {
        let owned = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let env = |name: &str| (name == "CONF").then(|| "b: {z: 26}".to_owned());
        match Input::load(&owned(configs), &owned(settings), &env) {
            Ok(input) => Ok(flat(&input.root)),
            Err(e) => Err(e.to_string()),
        }
    }

    fn flat(node: &super::Node) -> String {
        match &node.value {
            super::Value::Null => "~".to_owned(),
            super::Value::Scalar(text) => text.clone(),
            super::Value::List(items) => {
                format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(","))
            }
            super::Value::Map(entries) => {
                let entry = |e: &super::Entry| format!("{}:{}", e.key, flat(&e.node));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn later_ones_win_and_mappings_are_merged() {
        let merged =
            load(&["yaml:{a: 1, b: {x: [1, 2], y: 3}}", "yaml:b: {x: [9]}", "env:CONF"], &[]);
        assert_eq!(merged.unwrap(), "{a:1,b:{x:[9],y:3,z:26}}");
        let set = load(&["yaml:a: {b: 1}"], &["a.b=2", "a.c/d=[x, y]", "e=~"]);
        assert_eq!(set.unwrap(), "{a:{b:2,c/d:[x,y]},e:~}");
        let empty = load(&["yaml:", "yaml:a: 1", "yaml:# b: 2", "env:NONE"], &[]);
        assert_eq!(empty.unwrap(), "{a:1}");
        let nested = load(&["yaml:a::b::c: 1", "yaml:{a::b::d: 2, a::e: 3}"], &[]);
        assert_eq!(nested.unwrap(), "{a:{b:{c:1,d:2},e:3}}");
        let deep = format!("{}b=1", "a.".repeat(100));
        let errors = load(&["yaml:a: 1"], &[&deep]).unwrap_err();
        assert!(errors.contains("a key of more than 32 parts"), "{errors}");
    }

    #[test]
    fn each_source_is_named_in_its_errors() {
        let dir = tempfile::tempdir().unwrap();
        let bad = dir.path().join("bad.yaml");
        std::fs::write(&bad, "a: [1\n").unwrap();
        let bad = bad.to_str().unwrap();
        let errors = load(&["yaml:a: {", bad], &["a.b"]).unwrap_err();
        assert!(errors.contains("--set a.b"), "{errors}");
        let errors = load(&["yaml:a: {", bad], &[]).unwrap_err();
        assert!(errors.contains("--config yaml:") && errors.contains("bad.yaml"), "{errors}");
        for (config, expected) in [
            ("https://x/y", "fetch it into a file"),
            ("env:NONE", "not set"),
            ("/nonexistent", "cannot be read"),
        ] {
            let errors = load(&[config], &[]).unwrap_err();
            assert!(errors.contains(expected), "{errors}");
        }
    }
}
