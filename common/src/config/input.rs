//! From a file to an expanded tree.

use std::fs::File;
use std::io::Read;

use super::env::{self, Env};
use super::error::{ConfigErrors, Diag, Note};
use super::reader::Reader;
use super::source::Source;
use super::tree::{self, Node, TreeError, Value};
use super::wrapper;

/// Bytes of a configuration file.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration that is well-formed YAML, with its variables expanded. Everything that is read
/// from it reports into one collector of errors; a copy has its own.
#[derive(Clone)]
pub struct Input {
    pub(super) diag: Diag,
    pub(super) root: Node,
    /// The same before expansion.
    pub(super) written: Node,
}

/// A text of YAML and what it is called.
struct Text {
    name: String,
    text: String,
    /// `a::b: c` stands for `a: {b: c}`.
    nests: bool,
}

/// What `--config` names. `alone`: there is no other, so that it has to be there.
fn read_config(name: &str, env: &Env<'_>, alone: bool) -> Result<Text, ConfigErrors> {
    let nests = true;
    if let Some(text) = name.strip_prefix("yaml:") {
        return Ok(Text { name: "--config yaml:".to_owned(), text: text.to_owned(), nests });
    }
    if let Some(variable) = name.strip_prefix("env:") {
        let help = "set it to the text of a configuration";
        let Some(text) = env(variable).or_else(|| (!alone).then(String::new)) else {
            return Err(ConfigErrors::whole(name, "the variable is not set".to_owned(), help));
        };
        return Ok(Text { name: name.to_owned(), text, nests });
    }
    let scheme = name.split_once(':').map_or("", |(scheme, _)| scheme);
    if matches!(scheme, "http" | "https" | "s3" | "secretsmanager" | "aesprovider") {
        let help = "fetch it into a file beforehand";
        return Err(ConfigErrors::whole(name, format!("{scheme}: is not supported"), help));
    }
    read_file(name.strip_prefix("file:").unwrap_or(name))
}

/// `a.b.c=value`, where value is YAML.
fn read_setting(setting: &str) -> Result<Text, ConfigErrors> {
    let name = format!("--set {}", setting.split('=').next().unwrap_or_default());
    let fail = || {
        let help = "write --set processors.tail_sampling.decision_wait=5s";
        ConfigErrors::whole(&name, format!("{setting:?} is no key=value"), help)
    };
    let (key, value) = setting.split_once('=').filter(|(k, _)| !k.is_empty()).ok_or_else(fail)?;
    let key = key.trim().replace('.', "::");
    let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
    Ok(Text { text: format!("\"{quoted}\": {value}"), name, nests: true })
}

/// At most 1 MiB of UTF-8.
fn read_file(path: &str) -> Result<Text, ConfigErrors> {
    let fail = |why: String, help: &str| ConfigErrors::whole(path, why, help);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|e| fail(format!("cannot be read: {e}"), "give a path with --config"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail("is larger than 1 MiB".to_owned(), "no configuration is as large"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => {
            let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
            Ok(Text { name: path.to_owned(), text, nests: false })
        }
        Err(_) => Err(fail("is not UTF-8 text".to_owned(), "save it as UTF-8")),
    }
}

/// The tree of a text that is a configuration, not one within something else.
fn read_tree(text: &str, source: u16) -> Result<Node, TreeError> {
    let documents = tree::documents(text, source).map_err(|error| wrapper::explain(error, text))?;
    match wrapper::find(&documents) {
        Some(wrapped) => Err(wrapped),
        None => tree::only(documents),
    }
}

// === impl Input ===

impl Input {
    /// Reads and merges what `--config` and `--set` name, in this order, as the collector does:
    /// mappings are merged, everything else is replaced by what comes later. A name is a path, or
    /// `file:path`, `env:VARIABLE` or `yaml:text`; a setting is `a.b.c=value`.
    pub fn load(
        configs: &[String],
        settings: &[String],
        env: &Env<'_>,
    ) -> Result<Self, ConfigErrors> {
        let mut texts = Vec::new();
        for name in configs {
            texts.push(read_config(name, env, configs.len() == 1)?);
        }
        for setting in settings {
            texts.push(read_setting(setting)?);
        }
        Self::merge(&texts, env)
    }

    /// Parses `text`, which is reported as `name`.
    pub fn parse(name: &str, text: &str, env: &Env<'_>) -> Result<Self, ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self::merge(&[Text { name: name.to_owned(), text: text.to_owned(), nests: false }], env)
    }

    /// Each text's faults are found, not only the first text's.
    fn merge(texts: &[Text], env: &Env<'_>) -> Result<Self, ConfigErrors> {
        let sources = texts.iter().map(|t| Source::new(&*t.name, &t.text)).collect();
        let diag = Diag::new(sources);
        let mut root: Option<Node> = None;
        for (text, source) in texts.iter().zip(0u16..) {
            match read_tree(&text.text, source) {
                // An overlay of which everything is commented out.
                Ok(Node { value: Value::Null, .. }) if texts.len() > 1 => {
                    diag.note(&*text.name, "is empty, or not set: nothing comes from it");
                }
                Ok(mut node) => {
                    if text.nests {
                        node.nest_keys(&diag);
                    }
                    match &mut root {
                        None => root = Some(node),
                        Some(root) => root.merge(node),
                    }
                }
                Err(e) if e.at_key => diag.key_error(e.mark, e.message, e.help),
                Err(e) => diag.error(e.mark, e.message, e.help),
            }
        }
        diag.errors()?;
        let Some(mut root) = root else {
            return Err(ConfigErrors::whole(
                "",
                "there is no configuration, or only empty ones".into(),
                "give --config",
            ));
        };
        let written = root.clone();
        env::expand(&mut root, &diag, env);
        Ok(Self { diag, root, written })
    }

    /// The reader of the top level; an error if that is no mapping.
    pub fn reader(&self) -> Option<Reader<'_>> {
        let item = super::Item { diag: &self.diag, node: &self.root, path: String::new() };
        match &self.root.value {
            Value::Map(_) => item.map(),
            _ => {
                let help = "a configuration has receivers, exporters and service at least";
                self.diag.error(self.root.mark, "the configuration is not a mapping", help);
                None
            }
        }
    }

    /// Where errors and notes go.
    pub fn diag(&self) -> &Diag {
        &self.diag
    }

    /// What was read, if nothing is wrong with it.
    pub fn finish<T>(&self, value: Option<T>) -> Result<(T, Vec<Note>), ConfigErrors> {
        self.diag.errors()?;
        match value {
            Some(value) => Ok((value, self.diag.notes())),
            None => Err(ConfigErrors::whole("", "the configuration is incomplete".into(), "")),
        }
    }
}
