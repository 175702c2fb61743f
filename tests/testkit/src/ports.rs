//! Free ports on 127.0.0.1 that stay free until used.
//!
//! "Bind to 0, read the port, close" races with every outgoing connection of the machine. These
//! ports are below the range that the kernel hands out itself, and a lock file each keeps other
//! test processes away for as long as the [`Port`] lives.

use anyhow::{Context as _, bail};
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

const FIRST: u16 = 25_000;
const LAST: u16 = 31_999;

/// A reserved port of 127.0.0.1; free for others again when dropped.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

// === impl Port ===

impl Port {
    /// Reserves one.
    ///
    /// # Errors
    /// When the lock directory cannot be written or all 7,000 ports are taken.
    pub fn reserve() -> anyhow::Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let dir = std::env::temp_dir().join("tailgate-testkit-ports");
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        let span = LAST - FIRST + 1;
        // Processes start at different places, so that they seldom try each other's ports.
        let start = (std::process::id() as u16).wrapping_mul(97) % span;
        for _ in 0..span {
            let step = NEXT.fetch_add(1, Ordering::Relaxed) % span;
            let number = FIRST + (start + step) % span;
            let path = dir.join(number.to_string());
            let lock = File::create(&path).with_context(|| format!("lock {}", path.display()))?;
            let bindable = || TcpListener::bind(("127.0.0.1", number)).is_ok();
            if lock.try_lock().is_ok() && bindable() {
                return Ok(Port { number, _lock: lock });
            }
        }
        bail!("no free port between {FIRST} and {LAST}")
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// 127.0.0.1 with this port.
    pub fn addr(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.number.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ports_differ_and_can_be_bound() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve().unwrap()).collect();
        let numbers: HashSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers.len(), 50);
        TcpListener::bind(ports[0].addr()).unwrap();
    }
}
