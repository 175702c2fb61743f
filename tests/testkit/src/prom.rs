//! The Prometheus text format, as far as a scrape of ours or of a peer uses it.

use std::collections::BTreeMap;

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<Sample>);

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The name, with `_total`, `_bucket` and so on.
    pub name: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The value.
    pub value: f64,
}

/// A line that is no sample.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is no sample: {text}")]
pub struct BadLine {
    line: usize,
    text: String,
}

// === impl Metrics ===

impl Metrics {
    /// Reads a whole scrape.
    ///
    /// # Errors
    /// The first line that is neither a comment nor a sample.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
        let samples = lines.map(|(n, l)| {
            Sample::parse(l).ok_or_else(|| BadLine { line: n + 1, text: l.to_owned() })
        });
        Ok(Metrics(samples.collect::<Result<_, _>>()?))
    }

    /// `GET url` and parse.
    ///
    /// # Errors
    /// When nobody answers, not with 200, or with something else.
    pub async fn scrape(url: &str) -> anyhow::Result<Self> {
        let (status, text) = crate::http::get(url).await?;
        anyhow::ensure!(status == 200, "{url} answered {status}");
        Ok(Metrics::parse(&text)?)
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.0
    }

    /// The samples of `name` whose labels include `labels`.
    pub fn matching<'a>(
        &'a self,
        name: &'a str,
        labels: &'a [(&'a str, &'a str)],
    ) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |s| {
            s.name == name && labels.iter().all(|(k, v)| s.labels.get(*k).is_some_and(|is| is == v))
        })
    }

    /// The sum of [`Metrics::matching`]; `None` when there is no such series.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.matching(name, labels).map(|s| s.value).reduce(|a, b| a + b)
    }
}

// === impl Sample ===

impl Sample {
    /// Reads `name{label="value",...} value [timestamp]`.
    pub fn parse(line: &str) -> Option<Self> {
        let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
        let (name, rest) = line.split_at(end);
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => parse_labels(rest)?,
            None => (BTreeMap::new(), rest),
        };
        let mut words = rest.split_whitespace();
        let value = words.next()?.parse().ok()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let good = !name.is_empty() && name.chars().all(plain) && words.count() <= 1;
        good.then(|| Sample { name: name.to_owned(), labels, value })
    }
}

/// The labels after `{`, and what follows `}`.
fn parse_labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (key, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        rest = loop {
            match chars.next()? {
                (at, '"') => break &quoted[at + 1..],
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.insert(key.trim().to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reads_what_a_scrape_holds() {
        let text = "# HELP a b\n# TYPE a counter\na_total{x=\"1\",y=\"q\\\"}\\n\"} 3\n\
                    a_total{x=\"2\"} 4.5 1700000000\nup 1\ninf +Inf\nnan NaN\n";
        let metrics = Metrics::parse(text).unwrap();
        assert_eq!(metrics.samples().len(), 5);
        assert_eq!(metrics.sum("a_total", &[]), Some(7.5));
        assert_eq!(metrics.sum("a_total", &[("x", "2")]), Some(4.5));
        assert_eq!(metrics.sum("a_total", &[("y", "q\"}\n")]), Some(3.0));
        assert_eq!(metrics.sum("a_total", &[("x", "3")]), None);
        assert_eq!(metrics.sum("up", &[]), Some(1.0));
    }

    #[test]
    fn refuses_what_is_none() {
        for bad in ["a", "a{", "a{x=\"1\"", "a{x=\"1\"} b", "a 1 2 3", "{} 1", "<html> 1"] {
            assert!(Metrics::parse(&format!("up 1\n{bad}\n")).is_err(), "{bad}");
        }
    }
}
