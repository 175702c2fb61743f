//! Runs a real binary in a directory of its own and watches it.

mod usage;

pub use usage::Usage;

use crate::wait::eventually;
use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// What to run.
#[derive(Debug)]
pub struct Spec {
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    files: Vec<(String, String)>,
}

/// A running (or ended) process; killed when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    dir: TempDir,
}

// === impl Spec ===

impl Spec {
    /// Runs `program`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Spec { program: program.into(), args: Vec::new(), env: Vec::new(), files: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: impl ToString) -> Self {
        self.env.push((key.to_owned(), value.to_string()));
        self
    }

    /// Puts a file into the process's directory, which is also where it runs.
    #[must_use]
    pub fn file(mut self, name: &str, content: impl Into<String>) -> Self {
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// Puts `content` into `config.yaml` and adds `--config config.yaml`.
    #[must_use]
    pub fn config(self, content: impl Into<String>) -> Self {
        self.file("config.yaml", content).arg("--config").arg("config.yaml")
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the directory cannot be made or the program not run.
    pub fn start(self) -> anyhow::Result<Process> {
        let dir = tempfile::Builder::new().prefix("tailgate-test-").tempdir()?;
        for (name, content) in &self.files {
            fs::write(dir.path().join(name), content)?;
        }
        // The child runs elsewhere, so a relative path has to be resolved here; not its links, as
        // the Python of a virtual environment is one. A bare name is looked up in PATH.
        let program = match self.program.components().count() {
            1 => self.program.clone(),
            _ => std::path::absolute(&self.program)?,
        };
        let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let first = self.args.first().filter(|a| !a.starts_with('-'));
        let child = Command::new(&program)
            .args(&self.args)
            .envs(self.env)
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(File::create(dir.path().join("stdout"))?)
            .stderr(File::create(dir.path().join("stderr"))?)
            .spawn()
            .with_context(|| format!("run {}", program.display()))?;
        let name = first.map_or(name.clone(), |first| format!("{name} {first}"));
        Ok(Process { name, child, dir })
    }
}

// === impl Process ===

impl Process {
    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where it runs.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it wrote to its standard output so far.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    /// What it wrote to its standard error so far.
    pub fn stderr(&self) -> String {
        self.output("stderr")
    }

    fn output(&self, name: &str) -> String {
        let bytes = fs::read(self.dir.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until `GET url` answers with `status`.
    ///
    /// # Errors
    /// When it does not within `deadline`, or the process ends; with the end of its output.
    pub async fn wait_http(
        &mut self,
        url: &str,
        status: u16,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        let what = format!("{status} from {url}");
        self.wait(&what, deadline, async || {
            crate::http::get(url).await.is_ok_and(|(is, _)| is == status)
        })
        .await
    }

    /// Waits until it listens on `addr`.
    ///
    /// # Errors
    /// As [`Process::wait_http`].
    pub async fn wait_port(&mut self, addr: SocketAddr, deadline: Duration) -> anyhow::Result<()> {
        let what = format!("a listener on {addr}");
        self.wait(&what, deadline, async || tokio::net::TcpStream::connect(addr).await.is_ok())
            .await
    }

    async fn wait(
        &mut self,
        what: &str,
        deadline: Duration,
        mut condition: impl AsyncFnMut() -> bool,
    ) -> anyhow::Result<()> {
        let mut ended = None;
        let waiting = eventually(what, deadline, async || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some() || condition().await
        });
        let waited = waiting.await;
        let waited = match ended {
            Some(status) => Err(anyhow::anyhow!("ended with {status} before {what}")),
            None => waited.map_err(anyhow::Error::from),
        };
        waited.with_context(|| self.tail())
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn term(&self) -> anyhow::Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGINT, as Ctrl-C sends it.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn interrupt(&self) -> anyhow::Result<()> {
        self.signal(Signal::INT)
    }

    /// Sends SIGKILL.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL)
    }

    /// Sends SIGSTOP: it stays, but does nothing.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Sends SIGCONT.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends any signal. The process is not reaped before [`Process::wait_exit`], so its id is
    /// nobody else's.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("pid")?;
        kill_process(pid, signal).with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `deadline`.
    pub async fn wait_exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let mut status = None;
        let ended = eventually("the process's end", deadline, async || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        let ended = ended.await;
        ended.with_context(|| self.tail())?;
        status.context("no exit status")
    }

    /// SIGTERM, then [`Process::wait_exit`].
    ///
    /// # Errors
    /// As those.
    pub async fn terminate(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        self.term()?;
        self.wait_exit(deadline).await
    }

    /// Memory and CPU so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.pid())
    }

    /// Its name and the end of its output, for messages.
    fn tail(&self) -> String {
        let end = |text: String| {
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        format!("{}\n{}\n{}", self.name, end(self.stdout()), end(self.stderr()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- {}", self.tail());
        }
    }
}

#[cfg(test)]
mod tests;
