//! The recorder: series by definition, hooks at each scrape, text for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::http::{Response, StatusCode, header};
use metrics::{Counter, Gauge, Key, KeyName, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::distribution::{Distribution, Reading};
use super::http::{BindError, Server, text};
use super::names::{ALL, Def, Kind, defs};

/// Who this process is: on every series, and with the rest on `target_info`.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `service_name`.
    pub name: String,
    /// `service_instance_id`.
    pub instance_id: String,
    /// `service_version`.
    pub version: String,
}

/// All metrics of this process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// A histogram that is counted elsewhere and copied at each scrape.
#[derive(Debug, Clone)]
pub struct DistributionSeries(Arc<Mutex<Reading>>);

/// A counter with a fraction.
#[derive(Debug, Clone, Default)]
pub struct FloatCounter(Arc<AtomicU64>);

type ByLabels = BTreeMap<String, DistributionSeries>;
type Hook = Box<dyn Fn() + Send + Sync>;

struct Inner {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    identity: [(&'static str, String); 3],
    floats: Mutex<Vec<(Def, FloatCounter)>>,
    /// By name, then by the labels as they are written.
    distributions: Mutex<BTreeMap<&'static str, (Def, ByLabels)>>,
    /// Held while they run and the text is made: a scrape is one snapshot.
    hooks: Mutex<Vec<Hook>>,
}

const METADATA: Metadata<'_> = Metadata::new(module_path!(), Level::INFO, None);

/// Serves `/metrics` on `address` (`host:port`) until `stop`.
pub async fn serve_metrics(
    metrics: Metrics,
    address: &str,
    stop: CancellationToken,
) -> Result<Server, BindError> {
    Server::start("metrics", address, None, stop, move |request| {
        if request.uri().path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
        }
        let mut response = Response::new(metrics.render().into());
        let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    })
    .await
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

// === impl Metrics ===

impl Metrics {
    /// No series yet but `target_info`.
    pub fn new(identity: &Identity) -> Self {
        let identity = [
            ("service_name", identity.name.clone()),
            ("service_instance_id", identity.instance_id.clone()),
            ("service_version", identity.version.clone()),
        ];
        let mut builder = PrometheusBuilder::new();
        for (key, value) in &identity {
            builder = builder.add_global_label(*key, value);
        }
        let recorder = builder.build_recorder();
        for def in ALL {
            let (name, unit) = (KeyName::from_const_str(def.name), Some(def.unit));
            let help = SharedString::const_str(def.help);
            match def.kind {
                Kind::Counter | Kind::FloatCounter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram(_) => {}
            }
        }
        let handle = recorder.handle();
        // Shows the descriptions.
        handle.run_upkeep();
        let (floats, hooks) = (Mutex::default(), Mutex::default());
        let distributions = Mutex::default();
        let metrics =
            Self(Arc::new(Inner { recorder, handle, identity, floats, distributions, hooks }));
        metrics.gauge(&defs::TARGET_INFO, &[]).set(1.0);
        metrics
    }

    /// The counter with these label values, in the order of the definition.
    pub fn counter(&self, def: &Def, values: &[&str]) -> Counter {
        debug_assert_eq!(def.kind, Kind::Counter);
        let counter = self.0.recorder.register_counter(&key(def, values), &METADATA);
        counter.increment(0);
        counter
    }

    /// The gauge with these label values.
    pub fn gauge(&self, def: &Def, values: &[&str]) -> Gauge {
        debug_assert_eq!(def.kind, Kind::Gauge);
        let gauge = self.0.recorder.register_gauge(&key(def, values), &METADATA);
        gauge.increment(0.0);
        gauge
    }

    /// The histogram with these label values.
    pub fn distribution(&self, def: &Def, values: &[&str]) -> DistributionSeries {
        let mut all = self.0.distributions.lock();
        let (_, series) = all.entry(def.name).or_insert_with(|| (*def, BTreeMap::new()));
        let empty = || DistributionSeries(Arc::new(Mutex::new(Distribution::new(def).read())));
        series.entry(self.labels(def, values)).or_insert_with(empty).clone()
    }

    /// The counter with a fraction; such have no labels of their own.
    pub fn float_counter(&self, def: &Def) -> FloatCounter {
        debug_assert_eq!((def.kind, def.labels.len()), (Kind::FloatCounter, 0));
        let mut floats = self.0.floats.lock();
        if let Some((_, counter)) = floats.iter().find(|(known, _)| known.name == def.name) {
            return counter.clone();
        }
        let counter = FloatCounter::default();
        floats.push((*def, counter.clone()));
        counter
    }

    /// Has `hook` run at each scrape, before the text is made: it copies counters from where they
    /// are counted.
    pub fn on_scrape(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.0.hooks.lock().push(Box::new(hook));
    }

    /// Prometheus' text format.
    pub fn render(&self) -> String {
        let hooks = self.0.hooks.lock();
        hooks.iter().for_each(|hook| hook());
        let mut out = self.0.handle.render();
        for (def, counter) in self.0.floats.lock().iter() {
            self.render_float(def, counter, &mut out);
        }
        for (def, series) in self.0.distributions.lock().values() {
            render_distribution(def, series, &mut out);
        }
        out
    }

    /// All labels, as they are written between the braces.
    fn labels(&self, def: &Def, values: &[&str]) -> String {
        let pair = |key: &str, value: &str| format!("{key}=\"{}\"", escape(value));
        let own = def.labels.iter().zip(values).map(|(key, value)| pair(key, value));
        let all = self.0.identity.iter().map(|(key, value)| pair(key, value)).chain(own);
        all.collect::<Vec<_>>().join(",")
    }

    fn render_float(&self, Def { name, help, .. }: &Def, value: &FloatCounter, out: &mut String) {
        let (labels, value) = (self.labels(&defs::PROCESS_UPTIME, &[]), value.get());
        // Writing to a string does not fail.
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} counter");
        let _ = writeln!(out, "{name}{{{labels}}} {value}\n");
    }
}

fn render_distribution(Def { name, help, .. }: &Def, series: &ByLabels, out: &mut String) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} histogram");
    for (labels, series) in series {
        let Reading { bounds, cumulative, sum } = &*series.0.lock();
        let bounds = bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(cumulative) {
            let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}");
        }
        let count = cumulative.last().copied().unwrap_or_default();
        let _ = writeln!(out, "{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}");
    }
    out.push('\n');
}

fn key(def: &Def, values: &[&str]) -> Key {
    debug_assert_eq!(def.labels.len(), values.len(), "{}", def.name);
    let label = |(key, value): (&&'static str, &&str)| Label::new(*key, (*value).to_owned());
    Key::from_parts(def.name, def.labels.iter().zip(values).map(label).collect::<Vec<_>>())
}

// === impl DistributionSeries ===

impl DistributionSeries {
    /// Now it is this.
    pub fn set(&self, reading: Reading) {
        *self.0.lock() = reading;
    }
}

// === impl FloatCounter ===

impl FloatCounter {
    /// Now it is this much.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// How much it is.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}
