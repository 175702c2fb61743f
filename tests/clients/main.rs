//! Clients as applications have them: the SDKs of four languages, told by their own variables
//! where to send, and the tools that people look at a gateway with.
//!
//! Each run goes through both tiers. `tests/setup.sh` installs what they need; docs/CLIENTS.md has
//! a line of what each test ran, and `TAILGATE_RECORD=1` writes those anew.
#![allow(clippy::unwrap_used)]

mod doors;
#[path = "../e2e/fleet.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod fleet;
mod health;
mod order;
mod sdk;
mod table;
mod telemetrygen;
#[path = "../e2e/tls.rs"]
#[allow(dead_code, reason = "real clients need no tunnel")]
mod tls;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// For whatever takes a moment: generous, as the machine may be busy.
const SOON: Duration = Duration::from_secs(60);

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of the repository, or one that `tests/setup.sh` has made.
fn installed(path: &str) -> PathBuf {
    let path = root().join(path);
    assert!(path.exists(), "{} is missing: run tests/setup.sh first", path.display());
    path
}
