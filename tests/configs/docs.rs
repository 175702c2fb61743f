//! docs/CONFIGURATION.md against the code, both ways.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tailgate_common::config::{Answer, Asked, Known, Usage, known};

use crate::{blessing, keys, root};

/// A row of a table of keys: what it says of the default, and of the key.
struct Row {
    default: String,
    text: String,
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/CONFIGURATION.md")).unwrap()
}

/// Texts between backticks.
fn quoted(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

/// The keys that the document describes: the rows below a line `At ...:` that names the places.
fn rows(document: &str) -> BTreeMap<String, Row> {
    let mut places: Vec<&str> = Vec::new();
    let mut found = BTreeMap::new();
    for line in document.lines() {
        if line.starts_with('#') {
            places.clear();
        } else if line.starts_with("At ") {
            places = quoted(line);
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let first = cells[0];
        let keys = quoted(first);
        let &[key] = keys.as_slice() else { continue };
        if !first.starts_with("| `") || cells.len() < 3 {
            continue;
        }
        for place in &places {
            let dot = if place.is_empty() { "" } else { "." };
            let path = format!("{place}{dot}{key}");
            let text = cells[2..].join(" | ");
            let row = Row { default: cells[1].trim().to_owned(), text };
            assert!(found.insert(path.clone(), row).is_none(), "{path} has two rows");
        }
    }
    found
}

fn default_of(asked: &Asked) -> String {
    match asked.default.as_deref() {
        None | Some("") => String::new(),
        Some(text) => format!("`{text}`"),
    }
}

/// A row as it might be, to be completed.
fn proposal(path: &str, asked: &Asked) -> String {
    let (place, key) = path.rsplit_once('.').unwrap_or(("", path));
    let text = match &asked.usage {
        Usage::Accepted(why) => format!("Accepted: {why}"),
        Usage::Refused(help) => format!("Refused: {help}"),
        _ => "what it means".to_owned(),
    };
    format!(
        "{path}: below a line \"At `{place}`:\", add\n| `{key}` | {} | {text} |",
        default_of(asked)
    )
}

#[test]
fn every_key_is_documented_and_no_other() {
    let (rows, keys) = (rows(&document()), keys::all());
    let mut faults = Vec::new();
    for (path, asked) in &keys {
        let Some(row) = rows.get(path) else {
            faults.push(proposal(path, asked));
            continue;
        };
        if !default_of(asked).is_empty() && row.default != default_of(asked) {
            faults.push(format!(
                "{path}: the default is {}, not {}",
                default_of(asked),
                row.default
            ));
        }
        let (accepted, refused) =
            (row.text.starts_with("Accepted:"), row.text.starts_with("Refused:"));
        let right = match asked.usage {
            Usage::Accepted(_) => accepted,
            Usage::Refused(_) => refused,
            _ => !refused,
        };
        if !right {
            faults.push(format!("{path}: it says otherwise\n{}", proposal(path, asked)));
        }
    }
    let gone = rows.keys().filter(|path| !keys.contains_key(*path));
    faults.extend(gone.map(|path| format!("{path}: is documented, and the code does not know it")));
    assert!(faults.is_empty(), "docs/CONFIGURATION.md:\n{}", faults.join("\n"));
}

fn say(answer: Answer) -> String {
    match answer {
        Answer::Supported => "used".to_owned(),
        Answer::NotNeeded(why) => format!("accepted, not needed: {why}"),
        Answer::LeftOut(why) => format!("left out, with a note: {why}"),
        Answer::Refused(help) => format!("an error: {help}"),
    }
}

fn components() -> String {
    let mut table = String::from("| section | types | answer |\n|---|---|---|\n");
    for Known { section, kinds, load_balancer, sampler } in known() {
        let kinds: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
        let answer = if load_balancer == sampler {
            say(*sampler)
        } else {
            format!("sampler: {}; load balancer: {}", say(*sampler), say(*load_balancer))
        };
        writeln!(table, "| {} | {} | {answer} |", section.name(), kinds.join(", ")).unwrap();
    }
    table
}

/// `BLESS=1` writes the table.
#[test]
fn the_table_of_components_is_that_of_the_code() {
    const BEGIN: &str = "<!-- components -->\n";
    const END: &str = "<!-- end of components -->";
    let text = document();
    let (head, rest) = text.split_once(BEGIN).unwrap();
    let (table, tail) = rest.split_once(END).unwrap();
    if blessing() {
        let text = format!("{head}{BEGIN}{}{END}{tail}", components());
        std::fs::write(root().join("docs/CONFIGURATION.md"), text).unwrap();
    } else {
        assert_eq!(table, components(), "BLESS=1 cargo test --test configs writes it");
    }
}
