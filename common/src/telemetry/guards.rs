//! What keeps others out: files that are read again when they change, and peers without the secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::defs;
use super::health::Health;
use super::metrics::Metrics;
use crate::peer::RefusedPeers;
use crate::reload;

/// Shows how it stands with files that are read again when they change.
pub fn watch_files(metrics: &Metrics, health: &Health) {
    let shown = metrics.clone();
    metrics.on_scrape(move || {
        let mut files = BTreeMap::<String, (u64, Option<i64>)>::new();
        for status in reload::all() {
            // Several listeners may have the same file.
            let (failures, expiry) = files.entry(status.file).or_default();
            *failures = status.failures.max(*failures);
            *expiry = [*expiry, status.expiry].into_iter().flatten().min();
        }
        for (file, (failures, expiry)) in files {
            shown.counter(&defs::RELOAD_FAILURES, &[&file]).absolute(failures);
            if let Some(expiry) = expiry {
                shown.gauge(&defs::TLS_CERTIFICATE_EXPIRY, &[&file]).set(expiry as f64);
            }
        }
    });
    health.probe("files", || {
        let mut all: Vec<String> = reload::all()
            .into_iter()
            .filter_map(|status| Some(format!("{}: {}", status.file, status.trouble()?)))
            .collect();
        all.sort_unstable();
        all.dedup();
        (!all.is_empty()).then(|| all.join("; "))
    });
}

/// Shows who was turned away from the internal port.
pub fn watch_refused(metrics: &Metrics, refused: Arc<RefusedPeers>) {
    let series = refused
        .counts()
        .map(|(reason, _)| metrics.counter(&defs::PEER_HANDSHAKES_FAILED, &[reason]));
    metrics.on_scrape(move || {
        for (series, (_, count)) in series.iter().zip(refused.counts()) {
            series.absolute(count);
        }
    });
}
