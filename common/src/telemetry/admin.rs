//! Debug pages: each is a value, shown as HTML or, with `?format=json`, as it is.
//!
//! Meant for this machine only, so a browser that was sent here under another name is turned away: a web page could
//! read what is shown otherwise (DNS rebinding).

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, LOCATION,
    X_CONTENT_TYPE_OPTIONS,
};
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::http::{BindError, Page, Server, text};

/// The pages of a process.
#[derive(Default)]
pub struct DebugPages(Vec<DebugPage>);

struct DebugPage {
    path: &'static str,
    about: &'static str,
    make: Box<dyn Fn() -> Value + Send + Sync>,
    /// The last one made: whoever asks, however often, a page is made once in [`FRESH`].
    last: Mutex<Option<(Instant, Arc<Value>)>>,
}

/// How long a page is shown again without being made again.
const FRESH: Duration = Duration::from_secs(1);
/// Values nested deeper are shown as JSON.
const MAX_DEPTH: usize = 6;

/// The pages of the collector's zpages, and where that is found here.
const ZPAGES: [(&str, &str); 5] = [
    ("/debug/servicez", "/debug/config"),
    ("/debug/pipelinez", "/debug/config"),
    ("/debug/extensionz", "/debug/config"),
    ("/debug/featurez", "/debug/config"),
    ("/debug/tracez", "/debug/traces"),
];

const STYLE: &str = "body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}\
    td,th{border:1px solid #bbb;padding:2px 8px;text-align:left;vertical-align:top}\
    th{background:#eee}pre{margin:0}";

/// Serves the pages on `address` until `stop`.
pub async fn serve_debug(
    pages: DebugPages,
    address: &str,
    stop: CancellationToken,
) -> Result<Server, BindError> {
    Server::start("tailgate.admin", address, None, stop, move |request| pages.answer(request)).await
}

/// Whether the request names this machine: by a number, as localhost, or not at all.
fn is_meant_for_us(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let host = host.to_str().unwrap_or("?");
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

/// Mappings are tables of two columns, lists of mappings tables of many.
fn html(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(_) | Value::Array(_) if depth >= MAX_DEPTH => escape(&value.to_string(), out),
        Value::Object(entries) => {
            out.push_str("<table>");
            for (key, value) in entries {
                out.push_str("<tr><th>");
                escape(key, out);
                out.push_str("</th><td>");
                html(value, depth + 1, out);
                out.push_str("</td></tr>");
            }
            out.push_str("</table>");
        }
        Value::Array(items) if !items.is_empty() && items.iter().all(Value::is_object) => {
            rows(items, depth, out);
        }
        Value::Array(items) => {
            for item in items {
                html(item, depth + 1, out);
                out.push_str("<br>");
            }
        }
        Value::String(text) if text.contains('\n') => {
            out.push_str("<pre>");
            escape(text, out);
            out.push_str("</pre>");
        }
        Value::String(text) => escape(text, out),
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) => escape(&value.to_string(), out),
    }
}

/// All items have the keys of the first.
fn rows(items: &[Value], depth: usize, out: &mut String) {
    let first = items.first().and_then(Value::as_object);
    let keys: Vec<&String> = first.into_iter().flat_map(|first| first.keys()).collect();
    out.push_str("<table><tr>");
    for key in &keys {
        out.push_str("<th>");
        escape(key, out);
        out.push_str("</th>");
    }
    out.push_str("</tr>");
    for item in items {
        out.push_str("<tr>");
        for key in &keys {
            out.push_str("<td>");
            html(&item[key.as_str()], depth + 1, out);
            out.push_str("</td>");
        }
        out.push_str("</tr>");
    }
    out.push_str("</table>");
}

fn page(title: &str, body: &str) -> Page {
    let mut out = format!("<!doctype html><html><head><meta charset=utf-8><title>{title}</title>");
    // Writing to a string does not fail.
    let _ =
        writeln!(out, "<style>{STYLE}</style></head><body><h1>{title}</h1>{body}</body></html>");
    with(text(StatusCode::OK, out), CONTENT_TYPE, "text/html; charset=utf-8")
}

fn with(mut page: Page, name: HeaderName, value: &'static str) -> Page {
    page.headers_mut().insert(name, HeaderValue::from_static(value));
    page
}

// === impl DebugPages ===

impl DebugPages {
    /// Adds a page. `make` is not called more often than once a second.
    pub fn add(
        &mut self,
        path: &'static str,
        about: &'static str,
        make: impl Fn() -> Value + Send + Sync + 'static,
    ) {
        self.0.push(DebugPage { path, about, make: Box::new(make), last: Mutex::default() });
    }

    fn answer(&self, request: &Request<Incoming>) -> Page {
        let page = if !is_meant_for_us(request.headers()) {
            let why = "ask for localhost or an address, not for a name\n";
            text(StatusCode::MISDIRECTED_REQUEST, why)
        } else if !matches!(*request.method(), Method::GET | Method::HEAD) {
            with(text(StatusCode::METHOD_NOT_ALLOWED, "only to look at\n"), ALLOW, "GET, HEAD")
        } else {
            let json =
                request.uri().query().is_some_and(|q| q.split('&').any(|q| q == "format=json"));
            self.find(request.uri().path(), json)
        };
        let csp = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";
        let page = with(page, CONTENT_SECURITY_POLICY, csp);
        with(with(page, X_CONTENT_TYPE_OPTIONS, "nosniff"), CACHE_CONTROL, "no-store")
    }

    fn find(&self, path: &str, json: bool) -> Page {
        if matches!(path, "/" | "/debug" | "/debug/") {
            return self.index();
        }
        if let Some((_, to)) = ZPAGES.iter().find(|(from, _)| *from == path) {
            return with(text(StatusCode::TEMPORARY_REDIRECT, ""), LOCATION, to);
        }
        let Some(found) = self.0.iter().find(|page| page.path == path) else {
            return text(StatusCode::NOT_FOUND, "no such page; the index is at /\n");
        };
        let value = found.value();
        if json {
            return with(text(StatusCode::OK, value.to_string()), CONTENT_TYPE, "application/json");
        }
        let mut body =
            format!("<p><a href=\"/\">index</a> <a href=\"{path}?format=json\">JSON</a></p>");
        html(&value, 0, &mut body);
        page(found.about, &body)
    }

    fn index(&self) -> Page {
        let mut body = "<ul>".to_owned();
        for DebugPage { path, about, .. } in &self.0 {
            let _ = write!(body, "<li><a href=\"{path}\">{path}</a>: {about}</li>");
        }
        body.push_str("</ul>");
        page("Tailgate", &body)
    }
}

// === impl DebugPage ===

impl DebugPage {
    fn value(&self) -> Arc<Value> {
        let mut last = self.last.lock();
        if let Some((made, value)) = &*last
            && made.elapsed() < FRESH
        {
            return value.clone();
        }
        let value = Arc::new((self.make)());
        *last = Some((Instant::now(), value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_escaped() {
        let value = serde_json::json!({
            "<k>": [{"a": "<script>\"&'", "b": [1, true, null]}, {"a": "x\ny", "b": "z"}],
        });
        let mut out = String::new();
        html(&value, 0, &mut out);
        assert_eq!(
            out,
            "<table><tr><th>&lt;k&gt;</th><td><table><tr><th>a</th><th>b</th></tr><tr><td>\
             &lt;script&gt;&quot;&amp;&#39;</td><td>1<br>true<br><br></td></tr><tr><td><pre>x\ny\
             </pre></td><td>z</td></tr></table></td></tr></table>"
        );
    }

    #[test]
    fn depth_is_bounded() {
        let nested = (0..40).fold(Value::from(1), |value, _| serde_json::json!([value]));
        let mut out = String::new();
        html(&nested, 0, &mut out);
        assert!(out.contains("[[[[") && out.contains(']'), "{out}");
    }

    #[test]
    fn only_this_machine_is_meant() {
        let meant = |host: &'static str| {
            is_meant_for_us(&HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]))
        };
        for host in ["localhost", "LocalHost:1", "127.0.0.1:55679", "[::1]:1", "10.0.0.1"] {
            assert!(meant(host), "{host}");
        }
        for host in ["evil.example", "evil.example:55679", "localhost.evil.example", ""] {
            assert!(!meant(host), "{host}");
        }
    }
}
