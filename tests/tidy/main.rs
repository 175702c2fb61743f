//! The rules of the layout, as a test: which room may use what, and how long things may be.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 400;
const MAX_FUNCTION_LINES: usize = 70;
const MAX_COLUMNS: usize = 120;

/// Crates without I/O, runtime and clock; and what each crate of ours may use of the others.
const PURE: [&str; 3] = ["proto", "sampler/policy", "sampler/xray"];
const IMPURE_DEPENDENCIES: [&str; 9] =
    ["tokio", "hyper", "tonic", "http", "reqwest", "parking_lot", "metrics", "tracing", "socket2"];
const ARROWS: [(&str, &[&str]); 6] = [
    ("proto", &[]),
    ("sampler/policy", &["tailgate-proto"]),
    ("sampler/xray", &["tailgate-proto"]),
    ("common", &["tailgate-proto"]),
    ("loadbalancer", &["tailgate-proto", "tailgate-common"]),
    ("sampler", &["tailgate-proto", "tailgate-common", "tailgate-policy", "tailgate-xray"]),
];

/// Sans-IO code inside crates that do I/O elsewhere, and what must not be named in it.
const CORES: [&str; 6] = [
    "sampler/src/core",
    "sampler/src/export/xray/pace.rs",
    "loadbalancer/src/core",
    "common/src/ownership.rs",
    "common/src/retry.rs",
    "common/src/ledger.rs",
];
const IMPURE_NAMES: [&str; 9] = [
    "tokio::",
    "std::net",
    "std::fs",
    "Instant::now",
    "SystemTime",
    "std::thread",
    "tracing::",
    "metrics::",
    "std::process",
];

/// Words that mean that something is not finished, or that a test is not run.
const UNFINISHED: [&str; 4] = ["todo!(", "unimplemented!(", "#[ignore", "dbg!("];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &Path, out: &mut Vec<PathBuf>) {
    if under.is_file() {
        out.push(under.to_owned());
        return;
    }
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            rust_files(&path, out);
        } else if name.ends_with(".rs") {
            out.push(path);
        }
    }
}

fn all_rust_files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    rust_files(root(), &mut files);
    let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().display().to_string();
    let read: Vec<_> =
        files.iter().map(|path| (relative(path), fs::read_to_string(path).unwrap())).collect();
    assert!(read.len() > 50, "the walk has found the sources");
    read
}

fn assert_none(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// The names in a section of a manifest.
fn section(manifest: &str, name: &str) -> Vec<String> {
    let header = format!("[{name}]");
    let lines = manifest.lines().skip_while(|line| line.trim() != header).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split(['.', ' ', '=']).next()).map(str::to_owned).collect()
}

#[test]
fn dependencies_point_one_way() {
    let mut faults = Vec::new();
    for (name, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let dependencies = section(&manifest, "dependencies");
        assert!(!dependencies.is_empty(), "{name} has dependencies");
        for ours in dependencies.iter().filter(|d| d.starts_with("tailgate")) {
            if !allowed.contains(&ours.as_str()) {
                faults.push(format!("{name} must not use {ours}"));
            }
        }
        if name != "common" && dependencies.contains(&"opentelemetry-proto".to_owned()) {
            faults.push(format!("{name}: opentelemetry-proto is for edges and tests"));
        }
    }
    assert_none(faults);
}

#[test]
fn pure_crates_are_pure() {
    let mut faults = Vec::new();
    for name in PURE {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        for dependency in section(&manifest, "dependencies") {
            if IMPURE_DEPENDENCIES.contains(&dependency.as_str()) {
                faults.push(format!("{name} must not depend on {dependency}"));
            }
        }
        faults.extend(impure_names(&format!("{name}/src")));
    }
    CORES.iter().for_each(|core| faults.extend(impure_names(core)));
    assert_none(faults);
}

fn impure_names(under: &str) -> Vec<String> {
    let mut files = Vec::new();
    rust_files(&root().join(under), &mut files);
    assert!(!files.is_empty(), "{under} exists");
    let mut faults = Vec::new();
    // Tests may read their own data.
    for path in files.into_iter().filter(|path| !path.ends_with("tests.rs")) {
        let text = fs::read_to_string(&path).unwrap();
        for (number, line) in code_lines(&text) {
            for name in IMPURE_NAMES.iter().filter(|name| line.contains(**name)) {
                faults.push(format!("{}:{number}: {name} in pure code", path.display()));
            }
        }
    }
    faults
}

/// Lines outside comments, numbered from 1.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(at, line)| (at + 1, line)).filter(|(_, line)| {
        let line = line.trim_start();
        !line.starts_with("//")
    })
}

#[test]
fn files_and_functions_are_short() {
    let mut faults = Vec::new();
    for (path, text) in all_rust_files() {
        let lines = text.lines().count();
        if lines > MAX_FILE_LINES {
            faults.push(format!("{path}: {lines} lines, at most {MAX_FILE_LINES}"));
        }
        for (number, length) in functions(&text) {
            if length > MAX_FUNCTION_LINES {
                faults.push(format!("{path}:{number}: a function of {length} lines"));
            }
        }
        for (at, line) in text.lines().enumerate() {
            if line.chars().count() > MAX_COLUMNS {
                faults.push(format!("{path}:{}: over {MAX_COLUMNS} columns", at + 1));
            }
        }
    }
    assert_none(faults);
}

/// First line and length of each function: up to the brace at the indentation of `fn`.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let indent = |line: &str| line.len() - line.trim_start().len();
    let begins = |line: &str| {
        let words = line.trim_start();
        ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn "]
            .iter()
            .any(|start| words.starts_with(start))
    };
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| begins(line)) {
        let mut ends = lines[at..].iter().filter_map(|line| line.chars().last());
        if ends.find(|end| matches!(end, '{' | ';' | '}')) == Some(';') {
            // A signature in a trait.
            continue;
        }
        let closes = |l: &&str| indent(l) == indent(line) && l.trim_start().starts_with('}');
        if let Some(length) = lines[at + 1..].iter().position(closes) {
            found.push((at + 1, length + 2));
        }
    }
    found
}

#[test]
fn nothing_is_unfinished_or_skipped() {
    let mut faults = Vec::new();
    for (path, text) in all_rust_files() {
        if path.starts_with("tests/tidy") {
            continue;
        }
        for (number, line) in code_lines(&text) {
            for word in UNFINISHED.iter().filter(|word| line.contains(**word)) {
                faults.push(format!("{path}:{number}: {word}"));
            }
            if line.contains("unsafe {") || line.contains("unsafe fn") {
                faults.push(format!("{path}:{number}: unsafe"));
            }
        }
    }
    assert_none(faults);
}

#[test]
fn unsafe_code_is_forbidden_in_every_member() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("[workspace.lints.rust]\nunsafe_code = \"forbid\"\n"));
    let list = manifest.lines().skip_while(|line| *line != "members = [").skip(1);
    let members =
        list.take_while(|line| *line != "]").map(|line| line.trim_matches([' ', ',', '"']));
    let members: Vec<&str> = members.chain(["."]).collect();
    assert!(members.len() > 8, "the list of members has been found");
    let mut faults = Vec::new();
    for member in members {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        if !manifest.contains("[lints]\nworkspace = true\n") {
            faults.push(format!("{member} does not inherit the workspace's lints"));
        }
    }
    assert_none(faults);
}

#[test]
fn every_room_is_on_the_map() {
    let map = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    for (name, _) in ARROWS {
        assert!(map.contains(&format!("`{name}/")), "docs/ARCHITECTURE.md lacks {name}/");
    }
    for core in CORES {
        let file = core.rsplit('/').next().unwrap();
        assert!(map.contains(file), "docs/ARCHITECTURE.md lacks {core}");
    }
}
