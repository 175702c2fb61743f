#![allow(clippy::unwrap_used)]

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::*;
use crate::config::{LogEncoding, LogSampling};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn settings(encoding: LogEncoding) -> Logs {
    Logs {
        level: LogLevel::Info,
        encoding,
        sampling: None,
        outputs: Vec::new(),
        initial_fields: vec![("site".to_owned(), "a b".to_owned())],
        caller: false,
    }
}

/// The lines that `says` makes, and what is known of them afterwards.
fn lines(settings: &Logs, says: impl FnOnce()) -> (Vec<String>, Logged) {
    let (buffer, logged) = (Buffer::default(), Logged::default());
    let layer = LogLayer::new(settings, vec![Box::new(buffer.clone())], logged.clone());
    let subscriber = tracing_subscriber::registry().with(filter(level(settings.level))).with(layer);
    tracing::subscriber::with_default(subscriber, says);
    let text = String::from_utf8(buffer.0.lock().clone()).unwrap();
    (text.lines().map(str::to_owned).collect(), logged)
}

#[test]
fn libraries_are_quieter() {
    let quiet = filter(LevelFilter::DEBUG).to_string();
    assert!(quiet.contains("h2=warn") && quiet.contains("debug"), "{quiet}");
    assert!(filter(LevelFilter::ERROR).to_string().contains("h2=error"));
}

#[test]
fn nobody_can_write_lines_of_their_own() {
    let evil = "x\n2026-01-01T00:00:00Z ERROR forged\u{1b}[2J\u{202e} level=error";
    let (console, _) = lines(&settings(LogEncoding::Console), || {
        info!(client = evil, "peer \u{7} {}", "said\r\nthis");
        tracing::debug!("not at this level");
    });
    assert_eq!(console.len(), 1, "{console:?}");
    let line = console[0].split_once(' ').unwrap().1;
    assert_eq!(
        line,
        " INFO peer \\u{7} said\\r\\nthis site=\"a b\" client=\"x\\n2026-01-01T00:00:00Z ERROR \
         forged\\u{1b}[2J\\u{202e} level=error\""
    );
    let (json, _) = lines(&settings(LogEncoding::Json), || info!(client = evil, n = 7, "hello"));
    assert_eq!(json.len(), 1, "{json:?}");
    let value: serde_json::Value = serde_json::from_str(&json[0]).unwrap();
    assert_eq!((&value["level"], &value["msg"]), (&"info".into(), &"hello".into()));
    assert_eq!((&value["client"], &value["n"]), (&evil.into(), &7.into()));
    assert_eq!(value["site"], "a b");
    assert!(value["ts"].as_str().unwrap().ends_with('Z') && value.get("caller").is_none());
}

#[test]
fn long_values_are_cut() {
    let long = "\u{e4}".repeat(1_000);
    let (lines, _) = lines(&settings(LogEncoding::Console), || info!(%long, "hello"));
    assert!(lines[0].ends_with("...(1744 bytes more)\"") && lines[0].len() < 400, "{lines:?}");
}

#[test]
fn the_place_is_named_unless_it_is_not_wanted() {
    let mut settings = settings(LogEncoding::Json);
    settings.caller = true;
    let (lines, _) = lines(&settings, || info!("hello"));
    assert!(lines[0].contains("\"caller\":\"") && lines[0].contains("tests.rs:"), "{lines:?}");
}

#[test]
fn of_the_same_message_some_are_written() {
    let mut settings = settings(LogEncoding::Console);
    let tick = Duration::from_secs(3600);
    settings.sampling = Some(LogSampling { tick, initial: 2, thereafter: 3 });
    let (lines, logged) = lines(&settings, || {
        for n in 1..=9 {
            warn!(n, "again");
        }
        info!("another");
    });
    let numbers: Vec<&str> =
        lines.iter().map(|line| line.split_once("n=").map_or("", |(_, rest)| rest)).collect();
    assert_eq!(numbers, ["1", "2", "5 suppressed=2", "8 suppressed=2", ""]);
    // What is not written is known all the same.
    assert_eq!((logged.counts(), logged.suppressed_lines()), ((9, 0), 5));
    let recent = logged.recent();
    assert_eq!((recent.len(), recent[0].count, recent[0].fields.as_str()), (1, 9, "n=9"));
}

#[test]
fn the_last_warnings_and_errors_are_known() {
    let (_, logged) = lines(&settings(LogEncoding::Console), || {
        for n in 0..3 {
            error!(n, "first");
        }
        warn!("second");
        info!("of no interest");
    });
    let recent = logged.recent();
    let said: Vec<_> = recent.iter().map(|e| (e.level, e.message.as_str(), e.count)).collect();
    assert_eq!(said, [("WARN", "second", 1), ("ERROR", "first", 3)]);
    assert!(recent[1].first <= recent[1].last && recent[1].place.contains("tests.rs"));
}

#[test]
fn a_file_is_appended_to_and_a_bad_path_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    for _ in 0..2 {
        open(&[LogOutput::File(path.clone())]).unwrap()[0].write_all(b"line\n").unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\nline\n");
    let error = open(&[LogOutput::File(dir.path().join("no/log"))]).err().unwrap().to_string();
    assert!(error.contains("output_paths") && error.contains("no/log"), "{error}");
}
