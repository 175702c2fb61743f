//! The registry: series by definition, hooks at each scrape, text for Prometheus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ::http::{Response, StatusCode, header};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::distribution::{Distribution, Reading};
use super::form::{Form, Shown, label_name};
use super::http::{BindError, Server, text};
use super::names::{Def, Kind, Level, defs};

/// All metrics of this process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A number that goes up and down, or a counter with a fraction.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// A histogram that is counted elsewhere and copied at each scrape.
#[derive(Debug, Clone)]
pub struct DistributionSeries(Arc<Mutex<Reading>>);

/// With their names.
type Labels = Vec<(String, String)>;
type Hook = Box<dyn Fn() + Send + Sync>;

struct Inner {
    level: Level,
    /// By name.
    families: Mutex<BTreeMap<&'static str, Family>>,
    /// Held while they run and the text is made: a scrape is one snapshot.
    hooks: Mutex<Vec<Hook>>,
    complete: AtomicBool,
}

struct Family {
    def: Def,
    /// By label values.
    series: BTreeMap<Vec<String>, (Labels, Value)>,
}

#[derive(Clone)]
enum Value {
    Counter(Counter),
    Gauge(Gauge),
    Distribution(DistributionSeries),
}

/// Serves `/metrics` on `address` (`host:port`) until `stop`; until [`Metrics::complete`] with an answer that says so:
/// a scrape with some of the series would look like a reset.
pub async fn serve_metrics(
    metrics: Metrics,
    form: Form,
    address: &str,
    stop: CancellationToken,
) -> Result<Server, BindError> {
    Server::start("metrics", address, None, stop, move |request| {
        if request.uri().path() != "/metrics" {
            return text(StatusCode::NOT_FOUND, "metrics are at /metrics\n");
        }
        if !metrics.0.complete.load(Ordering::Acquire) {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "starting: not all series are there yet\n",
            );
        }
        let mut response = Response::new(metrics.render(&form).into());
        let kind = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    })
    .await
}

// === impl Metrics ===

impl Metrics {
    /// No series yet but `target_info`, with these attributes of the resource; those that begin with the same label
    /// name count once.
    pub fn new(resource: &[(String, String)], level: Level) -> Self {
        let inner = Inner {
            level,
            families: Mutex::default(),
            hooks: Mutex::default(),
            complete: AtomicBool::default(),
        };
        let mut labels: Vec<(String, String)> = Vec::new();
        for (name, value) in resource {
            let name = label_name(name);
            if !labels.iter().any(|(known, _)| *known == name) {
                labels.push((name, value.clone()));
            }
        }
        let info = Gauge::default();
        info.set(1.0);
        let series = [(Vec::new(), (labels, Value::Gauge(info)))].into();
        let family = Family { def: defs::TARGET_INFO, series };
        inner.families.lock().insert(defs::TARGET_INFO.name, family);
        Self(Arc::new(inner))
    }

    /// All series that are there from the start are there.
    pub fn complete(&self) {
        self.0.complete.store(true, Ordering::Release);
    }

    /// The counter with these label values, in the order of the definition.
    pub fn counter(&self, def: &Def, values: &[&str]) -> Counter {
        debug_assert_eq!(def.kind, Kind::Counter);
        match self.series(def, values, || Value::Counter(Counter::default())) {
            Value::Counter(counter) => counter,
            _ => Counter::default(),
        }
    }

    /// The gauge, or the counter with a fraction, with these label values.
    pub fn gauge(&self, def: &Def, values: &[&str]) -> Gauge {
        debug_assert!(matches!(def.kind, Kind::Gauge | Kind::FloatCounter), "{}", def.name);
        match self.series(def, values, || Value::Gauge(Gauge::default())) {
            Value::Gauge(gauge) => gauge,
            _ => Gauge::default(),
        }
    }

    /// The histogram with these label values.
    pub fn distribution(&self, def: &Def, values: &[&str]) -> DistributionSeries {
        let empty = || DistributionSeries(Arc::new(Mutex::new(Distribution::new(def).read())));
        match self.series(def, values, || Value::Distribution(empty())) {
            Value::Distribution(series) => series,
            _ => empty(),
        }
    }

    /// Takes series away for whose label values `keep` is false.
    pub fn retain(&self, def: &Def, keep: impl Fn(&[String]) -> bool) {
        if let Some(family) = self.0.families.lock().get_mut(def.name) {
            family.series.retain(|values, _| keep(values));
        }
    }

    /// Has `hook` run at each scrape, before the text is made: it copies counters from where they
    /// are counted.
    pub fn on_scrape(&self, hook: impl Fn() + Send + Sync + 'static) {
        self.0.hooks.lock().push(Box::new(hook));
    }

    /// Prometheus' text format.
    pub fn render(&self, form: &Form) -> String {
        let hooks = self.0.hooks.lock();
        hooks.iter().for_each(|hook| hook());
        let mut out = String::new();
        for Family { def, series } in self.0.families.lock().values() {
            if def.level <= self.0.level {
                let shown = series.values().map(|(labels, value)| (&labels[..], value.shown(def)));
                form.write(def, shown, &mut out);
            }
        }
        out
    }

    fn series(&self, def: &Def, values: &[&str], make: impl FnOnce() -> Value) -> Value {
        debug_assert_eq!(def.labels.len(), values.len(), "{}", def.name);
        let mut families = self.0.families.lock();
        let family = families
            .entry(def.name)
            .or_insert_with(|| Family { def: *def, series: BTreeMap::new() });
        let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
        let named = |values: &[String]| {
            def.labels.iter().map(|key| (*key).to_owned()).zip(values.iter().cloned()).collect()
        };
        let labels = named(&values);
        family.series.entry(values).or_insert_with(|| (labels, make())).1.clone()
    }
}

// === impl Value ===

impl Value {
    fn shown(&self, def: &Def) -> Shown {
        match self {
            Self::Counter(counter) => Shown::Whole(counter.get()),
            Self::Gauge(gauge) => Shown::Float(gauge.get()),
            Self::Distribution(series) => {
                debug_assert!(matches!(def.kind, Kind::Histogram(_)), "{}", def.name);
                Shown::Histogram(series.0.lock().clone())
            }
        }
    }
}

// === impl Counter ===

impl Counter {
    /// Now it is this much; it never goes back.
    pub fn absolute(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    /// So much more.
    pub fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    /// How much it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Gauge ===

impl Gauge {
    /// Now it is this much.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// How much it is.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

// === impl DistributionSeries ===

impl DistributionSeries {
    /// Now it is this.
    pub fn set(&self, reading: Reading) {
        *self.0.lock() = reading;
    }
}
