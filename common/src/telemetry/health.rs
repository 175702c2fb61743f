//! Health on `:13133`: 200 from ready until SIGTERM, else 503; never for load.
//!
//! Ready is when every clone of the first [`Latch`] was dropped: each part of the start-up takes
//! one along. What is wrong but no reason to be restarted is said in the body, as `degraded`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::http::{BindError, Server, text};
use crate::net::tls::ServerTls;

/// The health of this process. Cheap to clone.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

/// Keeps the process from being ready while any clone of it lives.
#[derive(Debug, Clone)]
pub struct Latch {
    _held: Arc<Held>,
}

/// Asked each time that health is: why the component is degraded, if it is.
type Probe = Box<dyn Fn() -> Option<String> + Send + Sync>;

struct Inner {
    up: Arc<OnceLock<(Instant, SystemTime)>>,
    stopping: AtomicBool,
    /// By component.
    probes: Mutex<BTreeMap<String, Probe>>,
}

#[derive(Debug)]
struct Held(Arc<OnceLock<(Instant, SystemTime)>>);

/// The answer; its first three keys are those of the collector's extension.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: &'static str,
    up_since: String,
    uptime: String,
    reasons: Vec<&'static str>,
    degraded: Vec<Degraded>,
}

#[derive(Serialize)]
struct Degraded {
    component: String,
    reason: String,
}

/// Answers at `path` (`/` is every path) on `address`, over TLS if it is given, until `stop`.
pub async fn serve_health(
    health: Health,
    address: &str,
    path: &str,
    tls: Option<ServerTls>,
    stop: CancellationToken,
) -> Result<Server, BindError> {
    let path = path.to_owned();
    Server::start("health_check", address, tls, stop, move |request| {
        if path != "/" && request.uri().path() != path {
            return text(StatusCode::NOT_FOUND, format!("health is at {path}\n"));
        }
        let ready = health.is_ready();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut page = text(status, health.body());
        let json = HeaderValue::from_static("application/json");
        page.headers_mut().insert(header::CONTENT_TYPE, json);
        page
    })
    .await
}

/// As text: RFC 3339 in UTC with nanoseconds. The calendar is Howard Hinnant's `civil_from_days`.
pub fn rfc3339(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let nanos = since.subsec_nanos();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// As Go writes a duration: `1h2m3.5s`.
fn go_duration(duration: Duration) -> String {
    let (secs, nanos) = (duration.as_secs(), duration.subsec_nanos());
    let fraction = format!(".{nanos:09}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let (hours, minutes, rest) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{rest}{fraction}s"),
        (0, _) => format!("{minutes}m{rest}{fraction}s"),
        _ => format!("{hours}h{minutes}m{rest}{fraction}s"),
    }
}

// === impl Health ===

impl Health {
    /// Not ready, until the latch and all its clones are dropped.
    pub fn new() -> (Self, Latch) {
        let up = Arc::new(OnceLock::new());
        let latch = Latch { _held: Arc::new(Held(up.clone())) };
        let (stopping, probes) = (AtomicBool::new(false), Mutex::default());
        (Self(Arc::new(Inner { up, stopping, probes })), latch)
    }

    /// Started, and not stopping.
    pub fn is_ready(&self) -> bool {
        self.0.up.get().is_some() && !self.0.stopping.load(Ordering::Acquire)
    }

    /// SIGTERM came: not ready, for good.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Asks `probe` at each request whether the component is degraded, and why. Must be quick.
    pub fn probe(
        &self,
        component: impl Into<String>,
        probe: impl Fn() -> Option<String> + Send + Sync + 'static,
    ) {
        self.0.probes.lock().insert(component.into(), Box::new(probe));
    }

    /// The JSON body: status, upSince, uptime, reasons, degraded.
    pub fn body(&self) -> String {
        let ready = self.is_ready();
        let up = self.0.up.get().filter(|_| ready);
        let reason = if self.0.up.get().is_none() { "starting" } else { "stopping" };
        let body = Body {
            status: if ready { "Server available" } else { "Server not available" },
            up_since: up.map_or("0001-01-01T00:00:00Z".to_owned(), |(_, time)| rfc3339(*time)),
            uptime: up.map_or(String::new(), |(since, _)| go_duration(since.elapsed())),
            reasons: if ready { Vec::new() } else { vec![reason] },
            degraded: self.degraded(),
        };
        // Strings and lists only: that can't fail.
        serde_json::to_string(&body).unwrap_or_default()
    }

    fn degraded(&self) -> Vec<Degraded> {
        let probes = self.0.probes.lock();
        let ask = |(component, probe): (&String, &Probe)| {
            probe().map(|reason| Degraded { component: component.clone(), reason })
        };
        probes.iter().filter_map(ask).collect()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health").field("ready", &self.is_ready()).finish_non_exhaustive()
    }
}

// === impl Held ===

impl Drop for Held {
    fn drop(&mut self) {
        // Nobody else sets it: there is one of these.
        let _ = self.0.set((Instant::now(), SystemTime::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_times_as_go_does() {
        let at = |secs, nanos| rfc3339(UNIX_EPOCH + Duration::new(secs, nanos));
        assert_eq!(at(0, 1), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(at(951_782_400, 0), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(at(1_793_491_199, 5), "2026-10-31T23:59:59.000000005Z");
        assert_eq!(go_duration(Duration::from_millis(2_500)), "2.5s");
        assert_eq!(go_duration(Duration::from_secs(3_723)), "1h2m3s");
    }
}
