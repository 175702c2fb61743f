//! From a file to an expanded tree.

use std::fs::File;
use std::io::Read;

use super::env::{self, Env};
use super::error::{ConfigErrors, Diag, Note};
use super::reader::Reader;
use super::source::Source;
use super::tree::{self, Node};

/// Bytes of a configuration file.
const MAX_BYTES: u64 = 1 << 20;

/// A configuration that is well-formed YAML, with its variables expanded. Everything that is read
/// from it reports into one collector of errors.
pub struct Input {
    pub(super) diag: Diag,
    pub(super) root: Node,
}

// === impl Input ===

impl Input {
    /// Reads the file at `path` (at most 1 MiB of UTF-8).
    pub fn load(path: &str, env: &Env<'_>) -> Result<Self, ConfigErrors> {
        let fail = |why: String, help: &str| ConfigErrors::whole(path, why, help);
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|e| fail(format!("cannot be read: {e}"), "give a path with --config"))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(fail("is larger than 1 MiB".to_owned(), "no configuration is as large"));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(path, &text, env),
            Err(_) => Err(fail("is not UTF-8 text".to_owned(), "save it as UTF-8")),
        }
    }

    /// Parses `text`, which is reported as `name`.
    pub fn parse(name: &str, text: &str, env: &Env<'_>) -> Result<Self, ConfigErrors> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let diag = Diag::new(vec![Source::new(name, text)]);
        match tree::parse(text, 0) {
            Ok(mut root) => {
                env::expand(&mut root, &diag, env);
                Ok(Self { diag, root })
            }
            Err(e) => {
                match e.at_key {
                    true => diag.key_error(e.mark, e.message, e.help),
                    false => diag.error(e.mark, e.message, e.help),
                }
                Err(diag.errors().err().unwrap_or(ConfigErrors(Vec::new())))
            }
        }
    }

    /// The reader of the top level; an error if that is no mapping.
    pub fn reader(&self) -> Option<Reader<'_>> {
        let item = super::Item { diag: &self.diag, node: &self.root, path: String::new() };
        match &self.root.value {
            tree::Value::Map(_) => item.map(),
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
