//! Tests of the language itself, of the shared sections, and that no input makes it panic.
#![allow(clippy::unwrap_used)]

mod clients;
mod environment;
mod errors;
mod memory;
mod random;
mod sections;
mod tls;
mod wrapped;
mod yaml;

use super::*;

/// No variable is set.
fn unset(_: &str) -> Option<String> {
    None
}

/// Reads `text` with `read`: the value and its notes, or all errors as they are shown.
fn read_with<T>(
    text: &str,
    env: &Env<'_>,
    read: impl FnOnce(&Reader<'_>) -> T,
) -> Result<(T, Vec<String>), String> {
    let input = Input::parse("f.yaml", text, env).map_err(|e| e.to_string())?;
    let value = input.reader().map(|r| read(&r));
    let (value, notes) = input.finish(value).map_err(|e| e.to_string())?;
    Ok((value, notes.iter().map(Note::to_string).collect()))
}

fn read<T>(text: &str, read: impl FnOnce(&Reader<'_>) -> T) -> Result<T, String> {
    read_with(text, &unset, read).map(|(value, _)| value)
}

/// Reads a whole document with its shared parts.
fn document(text: &str) -> Result<(Shared, Vec<String>), String> {
    let input = Input::parse("f.yaml", text, &unset).map_err(|e| e.to_string())?;
    let shared = Document::read(&input).map(|document| {
        let pipeline = document.pipeline(Tier::Sampler);
        let shared = Shared::read(&document, Tier::Sampler, pipeline.as_ref(), |_| {});
        document.wanted(Tier::Sampler, Section::Exporters);
        shared
    });
    let (shared, notes) = input.finish(shared).map_err(|e| e.to_string())?;
    Ok((shared, notes.iter().map(Note::to_string).collect()))
}

/// The first line of each error.
fn heads(errors: &str) -> Vec<&str> {
    errors.lines().filter(|l| l.starts_with("f.yaml")).collect()
}
