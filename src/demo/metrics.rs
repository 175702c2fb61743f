//! Reads the Prometheus text that the children serve, and asks whether they are ready.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use std::collections::BTreeMap;
use std::time::Duration;

/// One reading of a process's metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    samples: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

/// Asks the children over HTTP; clones share connections.
#[derive(Clone, Debug)]
pub struct Reader {
    client: Client<HttpConnector, Empty<Bytes>>,
}

const TIMEOUT: Duration = Duration::from_millis(900);
const MAX_BYTES: usize = 4 << 20;

// === impl Reader ===

impl Reader {
    /// A reader without connections yet.
    pub fn new() -> Reader {
        Reader { client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// The metrics served on a local port; `None` if they are not there in time.
    pub async fn metrics(&self, port: u16) -> Option<Metrics> {
        let (status, body) = self.get(port, "/metrics").await?;
        (status == StatusCode::OK).then(|| Metrics::parse(&String::from_utf8_lossy(&body)))
    }

    /// Whether the health endpoint on a local port says 200.
    pub async fn is_ready(&self, port: u16) -> bool {
        self.get(port, "/").await.is_some_and(|(status, _)| status == StatusCode::OK)
    }

    async fn get(&self, port: u16, path: &str) -> Option<(StatusCode, Bytes)> {
        let uri: Uri = format!("http://127.0.0.1:{port}{path}").parse().ok()?;
        let exchange = async {
            let response = self.client.get(uri).await.ok()?;
            let status = response.status();
            let body = Limited::new(response.into_body(), MAX_BYTES).collect().await.ok()?;
            Some((status, body.to_bytes()))
        };
        tokio::time::timeout(TIMEOUT, exchange).await.ok().flatten()
    }
}

impl Default for Reader {
    fn default() -> Self {
        Reader::new()
    }
}

// === impl Metrics ===

impl Metrics {
    /// Reads the text format; lines that are not samples are left out.
    pub fn parse(text: &str) -> Metrics {
        Metrics { samples: text.lines().filter_map(Sample::parse).collect() }
    }

    /// The sum of a series over all its samples that carry `labels`; with or without the suffix
    /// `_total`, as naming differs. 0 if there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// Like [`Metrics::sum`], apart for each value of the label `by`.
    pub fn sum_by(&self, name: &str, by: &str, labels: &[(&str, &str)]) -> BTreeMap<&str, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.matching(name, labels) {
            if let Some(value) = sample.label(by) {
                *sums.entry(value).or_insert(0.0) += sample.value;
            }
        }
        sums
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Sample> {
        let wanted = move |sample: &&Sample| {
            let same = sample.name.strip_suffix("_total").unwrap_or(&sample.name) == name;
            same && labels.iter().all(|(key, value)| sample.label(key) == Some(*value))
        };
        self.samples.iter().filter(wanted)
    }
}

// === impl Sample ===

impl Sample {
    fn label(&self, key: &str) -> Option<&str> {
        self.labels.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// `name{key="value",...} number [time]`
    fn parse(line: &str) -> Option<Sample> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let name_end = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let (name, mut rest) = line.split_at(name_end);
        let mut labels = Vec::new();
        if let Some(inside) = rest.strip_prefix('{') {
            rest = read_labels(inside, &mut labels)?;
        }
        let value = rest.split_whitespace().next()?.parse().ok()?;
        Some(Sample { name: name.to_owned(), labels, value })
    }
}

/// Reads `key="value",...}` and returns what follows.
fn read_labels<'a>(mut text: &'a str, labels: &mut Vec<(String, String)>) -> Option<&'a str> {
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Some(rest);
        }
        let (key, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        loop {
            match chars.next()? {
                (end, '"') => {
                    text = &rest[end + 1..];
                    break;
                }
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, c) => value.push(c),
            }
        }
        labels.push((key.trim().to_owned(), value));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &str = r#"# HELP otelcol_process_memory_rss Resident memory.
# TYPE otelcol_process_memory_rss gauge
otelcol_process_memory_rss{service_name="tailgate"} 1.5e7
tailgate_ledger_spans{outcome="received",reason=""} 120
tailgate_ledger_spans{outcome="lost",reason="expired"} 3
tailgate_ledger_spans{outcome="lost",reason="odd \"}, \\ \n"} 4 1700000000000
kept_total{policy="errors",sampled="true"} 7
kept_total{policy="errors",sampled="false"} 70
kept_total{policy="base",sampled="true"} 2
bare 9
not a sample
broken{x="y 1
"#;

    #[test]
    fn sums_by_name_and_labels() {
        let metrics = Metrics::parse(TEXT);
        let spans = "tailgate_ledger_spans";
        assert_eq!(metrics.sum(spans, &[("outcome", "received")]), 120.0);
        assert_eq!(metrics.sum(spans, &[("outcome", "lost")]), 7.0);
        assert_eq!(metrics.sum(spans, &[("reason", "odd \"}, \\ \n")]), 4.0);
        assert_eq!(metrics.sum("otelcol_process_memory_rss", &[]), 1.5e7);
        assert_eq!(metrics.sum("bare", &[]), 9.0);
        assert_eq!(metrics.sum("absent", &[]), 0.0);
        assert_eq!(metrics.sum("broken", &[]), 0.0);
    }

    #[test]
    fn sums_apart_by_a_label() {
        let metrics = Metrics::parse(TEXT);
        let kept = metrics.sum_by("kept", "policy", &[("sampled", "true")]);
        assert_eq!(kept, BTreeMap::from([("base", 2.0), ("errors", 7.0)]));
    }

    #[tokio::test]
    async fn a_silent_port_is_no_answer() {
        // Bound but never accepted: the connection opens, the answer does not come.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(Reader::new().metrics(port).await.is_none());
        drop(listener);
        assert!(!Reader::new().is_ready(port).await);
    }
}
