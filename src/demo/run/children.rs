//! A child process: started with a configuration file, its last lines of output kept, stopped by
//! SIGTERM. It is killed when its handle is dropped.

use anyhow::{Context, bail};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// A running child.
pub(super) struct Child {
    pub(super) name: String,
    pub(super) health_port: u16,
    process: tokio::process::Child,
    lines: Arc<Mutex<VecDeque<String>>>,
    reading: JoinHandle<()>,
    log: PathBuf,
}

/// How a child ended.
pub(super) struct End {
    pub(super) name: String,
    /// `None`: it had to be killed.
    status: Option<ExitStatus>,
    /// The last lines of its standard output.
    pub(super) lines: Vec<String>,
    /// The last lines of its log.
    pub(super) last_log: String,
}

/// Lines of output and of the log that are kept for the end.
const MAX_LINES: usize = 200;
const MAX_LOG_LINES: usize = 15;

// === impl Child ===

impl Child {
    /// Starts `program role --config config`; standard error goes to the file `log`.
    pub(super) fn start(
        program: &Path,
        role: &str,
        name: &str,
        health_port: u16,
        (config, log): (&Path, PathBuf),
    ) -> anyhow::Result<Child> {
        let stderr =
            File::create(&log).with_context(|| format!("can't write {}", log.display()))?;
        let mut process = Command::new(program)
            .args([role, "--config"])
            .arg(config)
            // Any will do for the embedded endpoint; the chain must not go looking for real ones.
            .envs([
                ("AWS_ACCESS_KEY_ID", "demo"),
                ("AWS_SECRET_ACCESS_KEY", "demo"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
                ("NO_PROXY", "127.0.0.1"),
            ])
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("can't start {} {role}", program.display()))?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let stdout = process.stdout.take().context("no standard output")?;
        let reading = tokio::spawn(keep_last(stdout, lines.clone()));
        Ok(Child { name: name.into(), health_port, process, lines, reading, log })
    }

    /// Fails if the child has ended.
    pub(super) fn check_running(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("{} ended on its own, {status}{}", self.name, self.last_log()),
        }
    }

    /// SIGTERM, if it still runs.
    pub(super) fn terminate(&self) {
        // The id is there until the child is reaped, so it can't be another process's.
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(pid) = id.and_then(Pid::from_raw) {
            // It may just have ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    /// Waits for its end, until `deadline`; then kills it.
    pub(super) async fn ended(mut self, deadline: Instant) -> End {
        let status = match tokio::time::timeout_at(deadline, self.process.wait()).await {
            Ok(Ok(status)) => Some(status),
            _ => {
                let _ = self.process.kill().await;
                None
            }
        };
        // What it printed last is still in the pipe.
        if tokio::time::timeout(Duration::from_secs(2), &mut self.reading).await.is_err() {
            self.reading.abort();
        }
        let lines = self.lines.lock().drain(..).collect();
        End { name: self.name.clone(), status, lines, last_log: self.last_log() }
    }

    /// The last lines of its log, for a message.
    pub(super) fn last_log(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(MAX_LOG_LINES)..];
        if last.is_empty() { String::new() } else { format!(":\n  {}", last.join("\n  ")) }
    }
}

async fn keep_last(stdout: ChildStdout, kept: Arc<Mutex<VecDeque<String>>>) {
    let mut lines = BufReader::new(stdout).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let mut kept = kept.lock();
        if kept.len() == MAX_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

// === impl End ===

impl End {
    pub(super) fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    pub(super) fn describe(&self) -> String {
        match self.status {
            Some(status) => status.to_string(),
            None => "did not end in time and was killed".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A shell script plays the program: `sh SCRIPT --config FILE`.
    fn start(script: &str) -> (tempfile::TempDir, Child) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("script.sh");
        std::fs::write(&file, script).unwrap();
        let log = dir.path().join("log");
        let role = file.to_str().unwrap();
        let child = Child::start(Path::new("/bin/sh"), role, "child", 1, (&file, log));
        (dir, child.unwrap())
    }

    async fn printed(child: &Child, line: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !child.lines.lock().iter().any(|l| l == line) {
            assert!(Instant::now() < deadline, "no {line:?} in time");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn later() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[tokio::test]
    async fn sigterm_lets_it_print_and_end() {
        let script = "trap 'echo last; exit 0' TERM; echo up; while :; do sleep 0.01; done";
        let (_dir, child) = start(script);
        printed(&child, "up").await;
        child.terminate();
        let end = child.ended(later()).await;
        assert!(end.is_success(), "{}", end.describe());
        assert_eq!(end.lines, ["up", "last"]);
    }

    #[tokio::test]
    async fn a_deaf_child_is_killed() {
        let (_dir, child) = start("trap '' TERM; echo up; while :; do sleep 0.01; done");
        printed(&child, "up").await;
        child.terminate();
        let end = child.ended(Instant::now() + Duration::from_millis(100)).await;
        assert!(!end.is_success());
        assert_eq!(end.describe(), "did not end in time and was killed");
    }

    #[tokio::test]
    async fn an_early_end_is_told_with_the_log() {
        let (_dir, mut child) = start("echo 'bad config' >&2; exit 78");
        let deadline = later();
        let error = loop {
            assert!(Instant::now() < deadline);
            match child.check_running() {
                Ok(()) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.contains("exit status: 78") && error.contains("bad config"), "{error}");
    }

    #[tokio::test]
    async fn dropping_the_handle_kills_it() {
        let (_dir, child) = start("echo up; while :; do sleep 0.01; done");
        printed(&child, "up").await;
        let id = child.process.id().unwrap();
        drop(child);
        let deadline = later();
        // Gone, or a zombie that the runtime has yet to reap.
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        while runs() {
            assert!(Instant::now() < deadline, "still there");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
