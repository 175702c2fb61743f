//! `service.telemetry.metrics`: who may scrape what, where.

use super::super::endpoint;
use super::super::item::Item;
use super::super::reader::Reader;

/// `service.telemetry.metrics`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// How much; `None` turns all readers off. Default normal.
    pub level: MetricsLevel,
    /// Where Prometheus scrapes: `address` and the pull readers; default one at `localhost:8888`.
    pub readers: Vec<PullReader>,
}

/// A place where Prometheus scrapes.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct PullReader {
    /// Where it listens.
    pub address: String,
    /// Whether names have units, and whether counters end with `_total`; as `tailgate.telemetry.naming` says if the
    /// reader does not.
    pub naming: Option<(bool, bool)>,
    /// Series have labels of the instrumentation's scope; default no.
    pub scope: bool,
    /// Which attributes of the resource all series have as labels; default name, instance and version of the service.
    pub constants: Option<Select>,
}

/// `included` and `excluded`: names with `*` for any text and `?` for any character.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Select {
    /// None: all.
    pub included: Vec<String>,
    /// These not.
    pub excluded: Vec<String>,
}

/// `metrics.level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetricsLevel {
    /// No endpoint.
    None,
    /// The collector's basic.
    Basic,
    /// The collector's normal.
    Normal,
    /// The collector's detailed.
    Detailed,
}

const DEFAULT_ADDRESS: &str = "localhost:8888";
/// Listeners for scrapes.
const MAX_READERS: usize = 8;

// === impl Metrics ===

impl Metrics {
    pub(super) fn read(r: &Reader<'_>) -> Self {
        r.accept(&["views"], "has no effect");
        let level = r.typed("level").and_then(|i| metrics_level(&i));
        let address = r.typed("address").and_then(|i| endpoint::listen(&i));
        let mut readers = Vec::from_iter(address.map(PullReader::at));
        for item in r.list("readers") {
            let Some(reader) = item.map() else { continue };
            let help = "metrics are scraped, not sent: give the reader pull, and let a collector's \
                        prometheus receiver scrape it";
            reader.accept(&["periodic"], &format!("has no effect: {help}"));
            match reader.map("pull") {
                Some(pull) => readers.extend(PullReader::read(&pull)),
                None if reader.has("periodic") => {}
                None => item.error("has no pull", "write pull: {exporter: {prometheus: ...}}"),
            }
        }
        if readers.len() > MAX_READERS {
            r.error("readers", &format!("more than {MAX_READERS} readers"), "remove some");
        }
        let again = |(n, reader): (usize, &PullReader)| {
            readers[..n].iter().any(|other| other.address == reader.address)
        };
        if readers.iter().enumerate().any(again) {
            r.error("readers", "two of them have the same address", "give each one of its own");
        }
        if !r.has("readers") && readers.is_empty() {
            readers.push(PullReader::at(DEFAULT_ADDRESS.to_owned()));
        }
        if readers.is_empty() && level != Some(MetricsLevel::None) {
            r.note("readers", "no pull reader: nobody can scrape metrics");
        }
        Self { level: level.unwrap_or(MetricsLevel::Normal), readers }
    }
}

fn metrics_level(item: &Item<'_>) -> Option<MetricsLevel> {
    let text = item.string()?;
    match text.to_ascii_lowercase().as_str() {
        "none" => Some(MetricsLevel::None),
        "basic" => Some(MetricsLevel::Basic),
        "normal" | "" => Some(MetricsLevel::Normal),
        "detailed" => Some(MetricsLevel::Detailed),
        _ => {
            let help = "use none, basic, normal or detailed";
            item.error(&format!("{text:?} is no level"), help);
            None
        }
    }
}

// === impl PullReader ===

impl PullReader {
    fn at(address: String) -> Self {
        Self { address, ..Self::default() }
    }

    fn read(r: &Reader<'_>) -> Option<Self> {
        r.accept(&["producers", "cardinality_limits"], "has no effect");
        let exporter = r.map_or_empty("exporter");
        let Some(r) = exporter.map("prometheus") else {
            exporter.error("prometheus", "is missing", "write prometheus: {host: ..., port: ...}");
            return None;
        };
        // Nothing is all interfaces, as in Go; a variable that is not set is nothing.
        let host = match r.string_or("host", "localhost") {
            host if host.is_empty() => "0.0.0.0".to_owned(),
            host => host,
        };
        let port = r.typed("port").and_then(|i| i.integer(0, 65_535)).unwrap_or(8888);
        // An IPv6 address needs its brackets between here and the socket.
        let bare_v6 = host.contains(':') && !host.starts_with('[');
        let address = if bare_v6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let good = endpoint::is_host_port(&address);
        if !good {
            r.error("host", &format!("{host:?} is no host"), "write a name or an address");
        }
        let reader = Self {
            address,
            naming: naming(&r),
            scope: !r.bool_or("without_scope_info", true),
            constants: r.map("with_resource_constant_labels").map(|labels| Select {
                included: labels.strings("included"),
                excluded: labels.strings("excluded"),
            }),
        };
        good.then_some(reader)
    }
}

/// From `without_units` and `without_type_suffix`, or the newer `translation_strategy`.
fn naming(r: &Reader<'_>) -> Option<(bool, bool)> {
    const STRATEGIES: [&str; 4] = [
        "UnderscoreEscapingWithSuffixes",
        "UnderscoreEscapingWithoutSuffixes",
        "NoUTF8EscapingWithSuffixes",
        "NoTranslation",
    ];
    let flags = r.has("without_units") || r.has("without_type_suffix");
    let unit = !r.bool_or("without_units", true);
    let total = !r.bool_or("without_type_suffix", true);
    let strategy = r.typed("translation_strategy").and_then(|item| item.choice(&STRATEGIES));
    // No name has a character that would need escaping.
    let by_strategy = strategy.map(|index| index % 2 == 0).map(|suffixes| (suffixes, suffixes));
    by_strategy.or_else(|| flags.then_some((unit, total)))
}

// === impl Select ===

impl Select {
    /// Whether it takes this name.
    pub fn takes(&self, name: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| fits(pattern, name));
        (self.included.is_empty() || any(&self.included)) && !any(&self.excluded)
    }
}

/// Tries the last `*` again, one character on, for as long as the text after it does not fit.
fn fits(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut pos, mut star) = (0, 0, None);
    while pos < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, pos));
                at += 1;
            }
            Some(c) if *c == '?' || *c == text[pos] => {
                at += 1;
                pos += 1;
            }
            _ => {
                let Some((star_at, from)) = star else { return false };
                star = Some((star_at, from + 1));
                at = star_at + 1;
                pos = from + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, wanted) in [
            ("service.*", "service.name", true),
            ("service.*", "host.name", false),
            ("*.name", "service.name", true),
            ("*na*e", "service.name", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "", true),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, text), wanted, "{pattern} {text}");
        }
    }
}
