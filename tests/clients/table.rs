//! The table of docs/CLIENTS.md: a line of what each test ran, which has to be there as it is.

use crate::root;
use std::fs;
use std::sync::Mutex;

/// One writer at a time.
static FILE: Mutex<()> = Mutex::new(());

/// Compares a client's line with the one in the table; with `TAILGATE_RECORD=1`, writes it.
pub fn check(cells: &[&str]) {
    let _guard = FILE.lock();
    let path = root().join("docs/CLIENTS.md");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("| {} |", cells.join(" | "));
    let of_client = format!("| {} |", cells[0]);
    let there = text.lines().find(|line| line.starts_with(&of_client));
    let there = there.unwrap_or_else(|| panic!("docs/CLIENTS.md has no line {of_client}"));
    if there == line {
        return;
    }
    assert!(
        std::env::var("TAILGATE_RECORD").is_ok(),
        "docs/CLIENTS.md says\n{there}\nand this ran:\n{line}\nTAILGATE_RECORD=1 writes it"
    );
    fs::write(&path, text.replace(there, &line)).unwrap();
}
