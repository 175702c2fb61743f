//! `file`: one OTLP/JSON line per batch, as the collector's file exporter writes.
//!
//! A line is written whole or not at all: after a failed write the file is cut back to where the
//! line began, and the same line is tried again.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tailgate_proto::json::write_json;

use super::{Attempt, ExportError, Exporter, Job};
use crate::core::outbox::{Batch, BatchLimits, Loss, Reason};

/// What can be configured.
#[derive(Debug, Clone)]
pub struct FileSettings {
    /// Where.
    pub path: PathBuf,
    /// Keep what is there; else the file is emptied at the start.
    pub append: bool,
}

/// The exporter.
#[derive(Debug)]
pub struct FileExporter {
    out: Arc<Mutex<Output<File>>>,
}

/// A line to be written.
#[derive(Debug)]
pub struct FileJob {
    line: Arc<Vec<u8>>,
    batch: Vec<Loss>,
    done: bool,
}

/// A file and how much of it is whole lines.
#[derive(Debug)]
struct Output<F> {
    file: F,
    good: u64,
}

/// What is needed of a file.
trait Target: Write {
    fn cut(&mut self, len: u64) -> std::io::Result<()>;
}

const LIMITS: BatchLimits = BatchLimits {
    bytes: 1 << 20,
    spans: 8192,
    traces: 1024,
    enough_spans: 1024,
    enough_bytes: usize::MAX,
    linger: Duration::from_millis(100),
};

// === impl FileExporter ===

impl FileExporter {
    /// Opens the file.
    pub fn open(settings: &FileSettings) -> Result<Self, ExportError> {
        let fail = |source| ExportError::File { path: settings.path.display().to_string(), source };
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(!settings.append);
        let mut file = options.open(&settings.path).map_err(fail)?;
        // Not a file but a pipe or a terminal: there is no place to go back to.
        let good = file.seek(SeekFrom::End(0)).unwrap_or(0);
        Ok(Self { out: Arc::new(Mutex::new(Output { file, good })) })
    }
}

impl Exporter for FileExporter {
    type Job = FileJob;

    fn limits(&self) -> BatchLimits {
        LIMITS
    }

    fn prepare(&self, batch: &Batch) -> FileJob {
        let request: Vec<u8> =
            batch.items().iter().flat_map(|i| i.fragment.iter().copied()).collect();
        let mut line = Vec::with_capacity(request.len() * 3);
        write_json(&request, &mut line);
        line.push(b'\n');
        FileJob { line: Arc::new(line), batch: batch.lost(Reason::INTERNAL), done: false }
    }

    async fn attempt(&self, job: &mut FileJob) -> Attempt {
        let (out, line) = (self.out.clone(), job.line.clone());
        // A write that has begun is not cancelled with this future, so it ends before the next one
        // begins.
        let written = tokio::task::spawn_blocking(move || out.lock().write_line(&line)).await;
        let error = match written {
            Ok(Ok(())) => {
                job.done = true;
                return Attempt::Done;
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        Attempt::Again { retry_after: None, why: error, paced: false }
    }
}

// === impl FileJob ===

impl Job for FileJob {
    fn losses(self, rest: Reason) -> Vec<Loss> {
        if self.done {
            return Vec::new();
        }
        self.batch.into_iter().map(|loss| Loss { reason: rest, ..loss }).collect()
    }
}

// === impl Output ===

impl<F: Target> Output<F> {
    fn write_line(&mut self, line: &[u8]) -> std::io::Result<()> {
        if let Err(error) = self.file.write_all(line) {
            // If this fails too, the part of a line that is there stays; the next try may mend it.
            let _ = self.file.cut(self.good);
            return Err(error);
        }
        self.good += line.len() as u64;
        Ok(())
    }
}

impl Target for File {
    fn cut(&mut self, len: u64) -> std::io::Result<()> {
        self.set_len(len)?;
        self.seek(SeekFrom::Start(len)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Error;

    use super::*;

    /// A disk that is full at `room` bytes.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let taken = bytes.len().min(self.room - self.bytes.len());
            if taken == 0 {
                return Err(Error::other("full"));
            }
            self.bytes.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Target for Disk {
        fn cut(&mut self, len: u64) -> std::io::Result<()> {
            self.bytes.truncate(len as usize);
            Ok(())
        }
    }

    #[test]
    fn a_line_is_there_whole_or_not_at_all() {
        let mut out = Output { file: Disk { bytes: Vec::new(), room: 8 }, good: 0 };
        out.write_line(b"one..\n").unwrap();
        assert!(out.write_line(b"two..\n").is_err());
        assert_eq!(out.file.bytes, b"one..\n");
        out.file.room = 100;
        out.write_line(b"two..\n").unwrap();
        assert_eq!(out.file.bytes, b"one..\ntwo..\n");
    }
}
