//! The load generator's record of what became of every request.
//!
//! A text file: the shape as one line of JSON, then one line for each request when its outcome is
//! known, then how many requests were begun. With the shape, a request's number stands for its
//! spans. Lines are written and synced in groups, so the file outlives whatever dies; a request
//! without a line is `unknown`.

use crate::traffic::{Shape, Traffic};
use anyhow::{Context as _, bail};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use tokio::sync::mpsc;

/// What the sender knows about its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Success was answered.
    Acked,
    /// Success for all but this many spans; which ones, the answer does not say.
    Partial(u64),
    /// The last answer was a refusal, and so was every one before.
    Rejected(String),
    /// At least one attempt ended without an answer and none with success.
    Unknown(String),
}

/// The outcome of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the [`Traffic`].
    pub seq: u64,
    /// How often it was sent, whatever came back.
    pub attempts: u32,
    /// What came back.
    pub outcome: Outcome,
}

/// A whole ledger, from a run or from its file.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// What was sent.
    pub shape: Shape,
    /// Requests from this number on were never sent; `u64::MAX` where the load did not end well.
    pub begun: u64,
    /// One record for each request that was begun and ended, in the order of ending.
    pub records: Vec<Record>,
}

/// Takes records from many senders and writes them in groups.
#[derive(Debug)]
pub struct Writer {
    sender: mpsc::Sender<Record>,
    thread: std::thread::JoinHandle<anyhow::Result<(Option<File>, Vec<Record>)>>,
}

// === impl Record ===

impl Record {
    fn line(&self) -> String {
        let Record { seq, attempts, outcome } = self;
        let (word, detail) = match outcome {
            Outcome::Acked => ("acked", String::new()),
            Outcome::Partial(rejected) => ("partial", rejected.to_string()),
            Outcome::Rejected(reason) => ("rejected", reason.replace('\n', " ")),
            Outcome::Unknown(reason) => ("unknown", reason.replace('\n', " ")),
        };
        format!("{seq} {attempts} {word} {detail}\n")
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (seq, attempts) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let (word, detail) = (words.next()?, words.next()?);
        let outcome = match word {
            "acked" => Outcome::Acked,
            "partial" => Outcome::Partial(detail.parse().ok()?),
            "rejected" => Outcome::Rejected(detail.to_owned()),
            "unknown" => Outcome::Unknown(detail.to_owned()),
            _ => return None,
        };
        Some(Record { seq, attempts, outcome })
    }
}

// === impl Ledger ===

impl Ledger {
    /// Reads the file; a last line cut short is left out.
    ///
    /// # Errors
    /// When it cannot be read, or a line within is none of ours.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut reader = BufReader::new(file);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let shape = serde_json::from_str(&line).context("the ledger's first line")?;
        let mut ledger = Ledger { shape, begun: u64::MAX, records: Vec::new() };
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some(whole) = line.strip_suffix('\n') else { return Ok(ledger) };
            if let Some(begun) = whole.strip_prefix("begun ") {
                ledger.begun = begun.parse().context("the ledger's last line")?;
            } else if let Some(record) = Record::parse(whole) {
                ledger.records.push(record);
            } else {
                bail!("{}: not a record: {whole}", path.display());
            }
        }
    }

    /// Spans of requests with the outcome that `choose` accepts.
    ///
    /// # Errors
    /// When the shape is impossible.
    pub fn spans(&self, choose: impl Fn(&Outcome) -> bool) -> anyhow::Result<u64> {
        let traffic = Traffic::new(self.shape.clone())?;
        let chosen = self.records.iter().filter(|r| choose(&r.outcome));
        Ok(chosen.map(|r| traffic.span_count(r.seq)).sum())
    }
}

// === impl Writer ===

impl Writer {
    /// Starts the file (`None`: the record is kept in memory only).
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn start(path: Option<&Path>, shape: &Shape) -> anyhow::Result<Self> {
        let mut file = match path {
            Some(path) => {
                Some(File::create(path).with_context(|| format!("create {}", path.display()))?)
            }
            None => None,
        };
        if let Some(file) = &mut file {
            writeln!(file, "{}", serde_json::to_string(shape)?)?;
            file.sync_data()?;
        }
        let (sender, receiver) = mpsc::channel(1024);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_groups(file, receiver))?;
        Ok(Writer { sender, thread })
    }

    /// A handle for one sender.
    pub fn sender(&self) -> mpsc::Sender<Record> {
        self.sender.clone()
    }

    /// Waits until every sender is gone and everything is on disk; gives all records. `begun`:
    /// see [`Ledger::begun`].
    ///
    /// # Errors
    /// When a write or a sync failed.
    pub fn finish(self, begun: u64) -> anyhow::Result<Vec<Record>> {
        drop(self.sender);
        let ended = self.thread.join().map_err(|_| anyhow::anyhow!("the ledger panicked"))?;
        let (file, records) = ended?;
        if let Some(mut file) = file {
            writeln!(file, "begun {begun}")?;
            file.sync_data()?;
        }
        Ok(records)
    }
}

fn write_groups(
    mut file: Option<File>,
    mut receiver: mpsc::Receiver<Record>,
) -> anyhow::Result<(Option<File>, Vec<Record>)> {
    let mut all = Vec::new();
    loop {
        let from = all.len();
        if receiver.blocking_recv_many(&mut all, 1024) == 0 {
            return Ok((file, all));
        }
        if let Some(file) = &mut file {
            let group: String = all[from..].iter().map(Record::line).collect();
            file.write_all(group.as_bytes())?;
            file.sync_data()?;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_written_is_read_back_even_when_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let writer = Writer::start(Some(&path), &Shape::default()).unwrap();
        let outcomes = [
            Outcome::Acked,
            Outcome::Partial(3),
            Outcome::Rejected("UNAVAILABLE: no\nroom".into()),
            Outcome::Unknown(String::new()),
        ];
        let sender = writer.sender();
        for (seq, outcome) in (0..).zip(outcomes) {
            sender.blocking_send(Record { seq, attempts: 2, outcome }).unwrap();
        }
        drop(sender);
        let mut told = writer.finish(4).unwrap();
        told[2].outcome = Outcome::Rejected("UNAVAILABLE: no room".into());
        let read = Ledger::load(&path).unwrap();
        assert_eq!((read.shape, read.begun, read.records), (Shape::default(), 4, told));

        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &text[..text.len() - "\nbegun 4\n".len()]).unwrap();
        let cut = Ledger::load(&path).unwrap();
        assert_eq!((cut.begun, cut.records.len()), (u64::MAX, 3));
        std::fs::write(&path, text.replace("acked", "packed")).unwrap();
        assert!(Ledger::load(&path).is_err());
    }
}
