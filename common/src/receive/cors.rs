//! Cross-origin requests: what a browser must be told before pages of other origins may send.
//!
//! The answers are those of the collector (rs/cors with credentials allowed), except that the
//! headers which its documentation calls implicitly allowed are.

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method};

/// Which origins may send what.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Vec<Origin>,
    /// In lower case.
    headers: Vec<String>,
    exposed: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
}

/// Origins in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Any,
    Exact(String),
    /// Begins and ends so.
    Between(String, String),
}

const ALWAYS: [&str; 4] = ["accept", "accept-language", "content-type", "content-language"];
const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
const ANY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");

// === impl Cors ===

impl Cors {
    /// `max_age` in seconds: 0 leaves it to the browser, less than 0 is none.
    pub fn new(origins: &[String], headers: &[String], exposed: &[String], max_age: i64) -> Self {
        let mut allowed: Vec<_> = headers.iter().map(|h| h.to_ascii_lowercase()).collect();
        if allowed.is_empty() {
            allowed.push("x-requested-with".to_owned());
        }
        let exposed = exposed.join(", ");
        let max_age = (max_age != 0).then(|| HeaderValue::from(max_age.max(0)));
        Self {
            origins: origins.iter().map(|o| Origin::new(o)).collect(),
            headers: allowed,
            exposed: HeaderValue::try_from(exposed).ok().filter(|e| !e.is_empty()),
            max_age,
        }
    }

    /// Whether a request is a browser's question, which [`preflight`](Self::preflight) answers.
    pub(super) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
        *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// The headers of the answer to a preflight; its status is 204 in any case.
    pub(super) fn preflight(&self, asked: &HeaderMap, answer: &mut HeaderMap) {
        answer.insert(VARY, VARY_PREFLIGHT);
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD);
        let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS);
        let (Some(origin), Some(method)) = (self.allowed(asked), method) else { return };
        let known = [&b"POST"[..], b"GET", b"HEAD"].contains(&method.as_bytes());
        if !known || !wanted.is_none_or(|wanted| self.allows_headers(wanted)) {
            return;
        }
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if let Some(wanted) = wanted.filter(|w| !w.is_empty()) {
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        if let Some(max_age) = &self.max_age {
            answer.insert(ACCESS_CONTROL_MAX_AGE, max_age.clone());
        }
    }

    /// The value of `Access-Control-Allow-Origin` for a request of an allowed origin.
    pub(super) fn allowed(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let origin = asked.get(ORIGIN).filter(|origin| !origin.is_empty())?;
        if self.origins.contains(&Origin::Any) {
            return Some(ANY);
        }
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        self.origins.iter().any(|allowed| allowed.matches(&text)).then(|| origin.clone())
    }

    /// Adds to the answer of a request that is no preflight what [`allowed`](Self::allowed) said.
    pub(super) fn mark(&self, allowed: Option<HeaderValue>, answer: &mut HeaderMap) {
        answer.append(VARY, VARY_ORIGIN);
        let Some(origin) = allowed else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        if let Some(exposed) = &self.exposed {
            answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed.clone());
        }
    }

    fn allows_headers(&self, wanted: &HeaderValue) -> bool {
        let Ok(wanted) = wanted.to_str() else { return false };
        let listed = |name: &str| self.headers.iter().any(|h| h == "*" || h == name);
        let names = wanted.split(',').map(|name| name.trim().to_ascii_lowercase());
        names.filter(|n| !n.is_empty()).all(|n| ALWAYS.contains(&&*n) || listed(&n))
    }
}

// === impl Origin ===

impl Origin {
    fn new(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        match text.split_once('*') {
            Some(("", "")) => Self::Any,
            Some((before, after)) => Self::Between(before.to_owned(), after.to_owned()),
            None => Self::Exact(text),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text == origin,
            Self::Between(before, after) => {
                origin.strip_prefix(&**before).is_some_and(|rest| rest.ends_with(&**after))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cors(origins: &[&str], headers: &[&str], max_age: i64) -> Cors {
        let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        Cors::new(&owned(origins), &owned(headers), &owned(&["x-a", "x-b"]), max_age)
    }

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(n, v)| (n.clone(), HeaderValue::from_str(v).unwrap()));
        pairs.collect()
    }

    fn origin(cors: &Cors, origin: &str) -> Option<String> {
        let allowed = cors.allowed(&headers(&[(ORIGIN, origin)]));
        allowed.map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn origins_match_exactly_or_around_a_star() {
        let some = cors(&["https://a.test", "https://*.b.test"], &[], 0);
        for good in ["https://a.test", "https://x.B.test", "https://x.y.b.test"] {
            assert_eq!(origin(&some, good).as_deref(), Some(good));
        }
        for bad in ["http://a.test", "https://a.test.evil", "https://b.test", "null", ""] {
            assert_eq!(origin(&some, bad), None, "{bad}");
        }
        // The two sides of a star do not overlap.
        assert_eq!(origin(&cors(&["aba*ba"], &[], 0), "aba"), None);
        assert_eq!(origin(&cors(&["*"], &[], 0), "https://a.test").as_deref(), Some("*"));
    }

    #[test]
    fn a_preflight_is_told_what_it_asks_or_nothing() {
        let ask = |cors: &Cors, method: &str, wanted: &str| {
            let asked = headers(&[
                (ORIGIN, "https://a.test"),
                (ACCESS_CONTROL_REQUEST_METHOD, method),
                (ACCESS_CONTROL_REQUEST_HEADERS, wanted),
            ]);
            let mut answer = HeaderMap::new();
            cors.preflight(&asked, &mut answer);
            answer
        };
        let some = cors(&["https://a.test"], &["X-Key"], 7200);
        let answer = ask(&some, "POST", "content-type, x-key");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "https://a.test");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_HEADERS], "content-type, x-key");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_METHODS], "POST");
        assert_eq!(answer[ACCESS_CONTROL_MAX_AGE], "7200");
        for (method, wanted) in [("DELETE", ""), ("POST", "x-other")] {
            assert_eq!(ask(&some, method, wanted).len(), 1, "only Vary: {method} {wanted}");
        }
        assert_eq!(ask(&cors(&["*"], &["*"], -1), "POST", "x-z")[ACCESS_CONTROL_MAX_AGE], "0");
        assert_eq!(ask(&cors(&["https://b.test"], &[], 0), "POST", "").len(), 1);
    }

    #[test]
    fn answers_are_marked() {
        let some = cors(&["https://a.test"], &[], 0);
        let mut answer = HeaderMap::new();
        some.mark(some.allowed(&headers(&[(ORIGIN, "https://a.test")])), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_EXPOSE_HEADERS], "x-a, x-b");
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        let mut answer = HeaderMap::new();
        some.mark(None, &mut answer);
        assert_eq!(answer.len(), 1, "only Vary");
    }
}
