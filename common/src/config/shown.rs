//! A configuration as it may be shown: without secrets, whether they are written in it or come from the environment.

use serde_json::{Map, Value as Json};

use super::error::Diag;
use super::input::Input;
use super::source::{SENSITIVE, without_user};
use super::tree::{Node, Value};

/// What may be shown of a configuration.
#[derive(Clone, Debug)]
pub struct Shown {
    /// All files and settings merged, `${...}` not expanded.
    pub written: Json,
    /// Texts that `${...}` was expanded to.
    expanded: Vec<String>,
}

const STARS: &str = "***";
/// What a variable holds is taken out of texts if it is no shorter: a short one would hit others.
const SHORTEST: usize = 6;

/// As in errors, whatever the key is for.
fn is_secret_name(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    !key.ends_with("_file") && SENSITIVE.iter().any(|word| key.contains(word))
}

/// Recursion is as deep as the tree, which is bounded.
fn show(node: &Node, path: &str, diag: &Diag) -> Json {
    if diag.is_secret(path) {
        return STARS.into();
    }
    match &node.value {
        Value::Null => Json::Null,
        Value::Scalar(text) => without_user(&without_defaults(text)).into(),
        Value::List(items) => {
            let item = |(i, node)| show(node, &format!("{path}[{i}]"), diag);
            items.iter().enumerate().map(item).collect()
        }
        Value::Map(entries) => {
            let mut map = Map::new();
            for entry in entries {
                let dot = if path.is_empty() { "" } else { "." };
                let below = || show(&entry.node, &format!("{path}{dot}{}", entry.key), diag);
                let hidden =
                    is_secret_name(&entry.key) && matches!(entry.node.value, Value::Scalar(_));
                map.insert(entry.key.clone(), if hidden { STARS.into() } else { below() });
            }
            map.into()
        }
    }
}

/// `${env:V:-default}`: the default may be a secret as well.
fn without_defaults(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(":-") {
        let (before, after) = rest.split_at(at + 2);
        out.push_str(before);
        match before.contains("${").then(|| after.find('}')).flatten() {
            Some(end) => {
                out.push_str(STARS);
                rest = &after[end..];
            }
            None => rest = after,
        }
    }
    out + rest
}

// === impl Input ===

impl Input {
    /// What may be shown of it. To be asked when it has been read: reading it tells what is secret.
    pub fn shown(&self) -> Shown {
        let written = show(&self.written, "", &self.diag);
        Shown { written, expanded: self.diag.expanded() }
    }
}

// === impl Shown ===

impl Shown {
    /// `text`, such as what was read in the form of [`std::fmt::Debug`], without what came from variables and files.
    pub fn mask(&self, text: &str) -> String {
        let mut text = without_user(text);
        for value in self.expanded.iter().filter(|value| value.len() >= SHORTEST) {
            text = text.replace(value.as_str(), STARS);
            let quoted = format!("{value:?}");
            text = text.replace(&quoted[1..quoted.len() - 1], STARS);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn secrets_are_not_shown_wherever_they_come_from() {
        let text = "tailgate:\n  internal: {secret: hush-inline, endpoint: \"${env:AT}\"}\n  \
                    other: {api_key: hush-key, key_file: k.pem}\n\
                    list: [\"${env:PASS}\", \"${env:NO:-hush-default}\", 'http://u:hush-url@h/p']\n";
        let env = |name: &str| match name {
            "PASS" => Some("hush\"variable".to_owned()),
            "AT" => Some("localhost:4319".to_owned()),
            _ => None,
        };
        let input = Input::parse("f.yaml", text, &env).unwrap();
        {
            let r = input.reader().unwrap();
            r.ignore_rest();
            let tailgate = r.map("tailgate").unwrap();
            tailgate.ignore_rest();
            let internal = tailgate.map("internal").unwrap();
            internal.ignore_rest();
            assert_eq!(internal.secret("secret").expose(), "hush-inline");
        }
        let shown = input.shown();
        let written = shown.written.to_string();
        assert!(!written.contains("hush"), "{written}");
        assert_eq!(shown.written["tailgate"]["internal"]["endpoint"], "${env:AT}");
        assert_eq!(shown.written["tailgate"]["other"]["key_file"], "k.pem");
        assert_eq!(shown.written["list"][2], "http://**********@h/p");
        let read = format!("{:?}", ("hush\"variable", "plain", "https://a:b@c"));
        assert_eq!(shown.mask(&read), "(\"***\", \"plain\", \"https://***@c\")");
    }
}
