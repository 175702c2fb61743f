//! What exporters to X-Ray show.

use tailgate_common::telemetry::{Metrics, XraySeries};
use tailgate_sampler::export::xray::{XrayFigures, XrayWatch, code_labels};
use tailgate_xray::Change;

use super::Observed;

impl Observed {
    /// Shows exporters to X-Ray, by name.
    pub fn watch_xray(&self, exporters: Vec<(String, XrayWatch)>) {
        for (name, watch) in exporters {
            let changes = Change::ALL.map(Change::as_str);
            let series = XraySeries::new(&self.metrics, &name, code_labels(), &changes);
            on_scrape(&self.metrics, series, watch);
        }
    }
}

fn on_scrape(metrics: &Metrics, series: XraySeries, watch: XrayWatch) {
    metrics.on_scrape(move || show(&series, watch.read()));
}

fn show(series: &XraySeries, figures: XrayFigures) {
    series.taken.absolute(figures.taken);
    series.throttled.absolute(figures.throttled);
    series.refused.absolute(figures.refused);
    series.failed.absolute(figures.failed);
    series.accepted.absolute(figures.accepted);
    series.retried.absolute(figures.retried);
    series.lost.absolute(figures.lost);
    for (code, counter) in &series.unprocessed {
        counter.absolute(figures.unprocessed.get(code).copied().unwrap_or_default());
    }
    for (counter, documents) in series.changed.iter().zip(figures.changed) {
        counter.absolute(documents);
    }
    series.fill.set(figures.fill);
    let pace = figures.pace;
    series.rate.set(pace.rate);
    series.limit.set(pace.limit.unwrap_or_default());
    series.quota.set(pace.quota.unwrap_or_default());
    series.headroom.set(pace.quota.map_or(0.0, |quota| quota - pace.rate));
    series.in_flight.set(pace.in_flight as f64);
    series.window.set(pace.window as f64);
    series.paused.set(f64::from(u8::from(pace.paused)));
}
