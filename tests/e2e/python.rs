//! What runs in Python: the SDK's application, moto's X-Ray, and boto3 to look into it.

use crate::SOON;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tailgate_testkit::ports::Port;
use tailgate_testkit::process::{Process, Spec};

/// A real `moto_server`.
pub struct Moto {
    pub port: Port,
    _process: Process,
}

/// The documents of each trace that X-Ray knows, by its id in X-Ray's way of writing.
pub type Documents = BTreeMap<String, Vec<Value>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A program of the tests' virtual environment.
pub fn installed(program: &str) -> PathBuf {
    let path = root().join(".venv/bin").join(program);
    assert!(path.exists(), "{} is missing: run tests/setup.sh first", path.display());
    path
}

/// Runs a script of `py/` to its end; the JSON that it printed.
pub async fn run(script: &str, args: &[&str], env: &[(&str, &str)]) -> Value {
    let path = root().join("tests/e2e/py").join(script);
    let mut spec = Spec::new(installed("python")).arg(path.to_string_lossy());
    for arg in args {
        spec = spec.arg(*arg);
    }
    for (key, value) in env {
        spec = spec.env(key, value);
    }
    let mut process = spec.start().unwrap();
    let status = process.wait_exit(2 * SOON).await.unwrap();
    assert!(status.success(), "{script}: {status}\n{}", process.stderr());
    serde_json::from_str(&process.stdout()).unwrap()
}

// === impl Moto ===

impl Moto {
    pub async fn start() -> Moto {
        let port = Port::reserve().unwrap();
        let spec = Spec::new(installed("moto_server")).arg("-H").arg("127.0.0.1");
        let mut process = spec.arg("-p").arg(port.to_string()).start().unwrap();
        process.wait_port(port.addr(), 2 * SOON).await.unwrap();
        Moto { port, _process: process }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.port.addr())
    }

    /// What boto3's `batch_get_traces` says of these traces (32 hex digits each).
    pub async fn documents(&self, traces: &[String]) -> Documents {
        let ids: Vec<String> = traces.iter().map(|id| xray_id(id)).collect();
        let url = self.url();
        let args: Vec<&str> = std::iter::once(&url).chain(&ids).map(String::as_str).collect();
        serde_json::from_value(run("traces.py", &args, &[]).await).unwrap()
    }
}

/// A trace id as X-Ray writes it.
pub fn xray_id(trace: &str) -> String {
    format!("1-{}-{}", &trace[..8], &trace[8..])
}
