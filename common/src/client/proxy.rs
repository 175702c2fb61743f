//! The way through a proxy: which one, if any, as `proxy_url` or the environment says.
//!
//! Rules as in Go's `golang.org/x/net/http/httpproxy`: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` or
//! the same in lower case; `localhost` and loopback addresses are reached without, unless
//! `proxy_url` is given.

use super::error::ClientError;
use http::{HeaderValue, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use std::net::IpAddr;

/// A proxy that speaks HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// `http://host:port/`.
    pub(super) uri: Uri,
    /// `Proxy-Authorization`, from the URL's user and password.
    pub(super) credentials: Option<HeaderValue>,
}

/// What the environment says.
#[derive(Clone, Default)]
pub struct ProxyEnvironment {
    https: String,
    http: String,
    no: String,
}

// === impl Proxy ===

impl Proxy {
    /// The one of this setting. The URL is not shown in errors, as it may have a password in it.
    pub fn from_url(url: &str, from: &'static str) -> Result<Self, ClientError> {
        let anywhere = Uri::from_static("http://proxied/");
        let found = Matcher::builder().all(url).build().intercept(&anywhere);
        let found = found.filter(|found| {
            let uri = found.uri();
            let port = uri.authority().is_some_and(|authority| {
                authority.as_str().ends_with(authority.host()) || authority.port_u16().is_some()
            });
            uri.scheme_str() == Some("http") && uri.host().is_some_and(|h| !h.is_empty()) && port
        });
        let found = found.ok_or(ClientError::Proxy(from))?;
        Ok(Self { uri: found.uri().clone(), credentials: found.basic_auth().cloned() })
    }

    /// The one on the way to `url`: as this setting says or, if that is empty, the environment.
    pub fn on_the_way(
        url: &Uri,
        given: &str,
        from: &'static str,
    ) -> Result<Option<Self>, ClientError> {
        if !given.is_empty() {
            return Self::from_url(given, from).map(Some);
        }
        let is_https = url.scheme_str() == Some("https");
        let port = url.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        ProxyEnvironment::current().proxy(is_https, url.host().unwrap_or_default(), port)
    }

    /// `host:port`.
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }
}

// === impl ProxyEnvironment ===

impl ProxyEnvironment {
    /// That of this process.
    pub fn current() -> Self {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads variables.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let read = |name: &str| {
            let given = |name: &str| variable(name).filter(|text| !text.is_empty());
            given(name).or_else(|| given(&name.to_ascii_lowercase())).unwrap_or_default()
        };
        Self { https: read("HTTPS_PROXY"), http: read("HTTP_PROXY"), no: read("NO_PROXY") }
    }

    /// The proxy to `host`, for `https` URLs (and gRPC, as in grpc-go) or for `http` ones.
    pub fn proxy(&self, https: bool, host: &str, port: u16) -> Result<Option<Proxy>, ClientError> {
        let (url, from) = match https {
            true => (&self.https, "HTTPS_PROXY"),
            false => (&self.http, "HTTP_PROXY"),
        };
        if url.is_empty() || self.excludes(host, port) {
            return Ok(None);
        }
        Proxy::from_url(url, from).map(Some)
    }

    fn excludes(&self, host: &str, port: u16) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let loops = bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if loops || bare.eq_ignore_ascii_case("localhost") {
            return true;
        }
        // Entries may have a port, which the matcher does not know.
        let entries = self.no.split(',').map(str::trim).filter_map(|entry| {
            let parts = entry.rsplit_once(':').filter(|(name, _)| !name.contains(':'));
            match parts.and_then(|(name, of)| Some((name, of.parse::<u16>().ok()?))) {
                Some((name, of)) => (of == port).then_some(name),
                None => Some(entry),
            }
        });
        let entries: Vec<&str> = entries.collect();
        if entries.contains(&"*") {
            return true;
        }
        let matcher = Matcher::builder().all("http://proxy").no(entries.join(",")).build();
        let target = format!("http://{host}:{port}/").parse::<Uri>();
        target.is_ok_and(|target| matcher.intercept(&target).is_none())
    }
}

impl std::fmt::Debug for ProxyEnvironment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not the URLs: they may have passwords.
        f.debug_struct("ProxyEnvironment").field("no", &self.no).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn environment(no: &'static str) -> ProxyEnvironment {
        ProxyEnvironment::read(|name| match name {
            "HTTPS_PROXY" => Some("http://user:p%40ss@secure:3128".to_owned()),
            "HTTP_PROXY" => Some(String::new()),
            "http_proxy" => Some("plain:3129".to_owned()),
            "no_proxy" => Some(no.to_owned()),
            _ => None,
        })
    }

    fn chosen(no: &'static str, https: bool, host: &str) -> Option<String> {
        let proxy = environment(no).proxy(https, host, 4318).unwrap();
        proxy.map(|proxy| proxy.authority().to_owned())
    }

    #[test]
    fn the_environment_chooses() {
        assert_eq!(chosen("", true, "backend.test").as_deref(), Some("secure:3128"));
        assert_eq!(chosen("", false, "backend.test").as_deref(), Some("plain:3129"));
        let proxy = environment("").proxy(true, "backend.test", 443).unwrap().unwrap();
        assert_eq!(proxy.credentials.as_ref().unwrap(), "Basic dXNlcjpwQHNz");
        assert!(!format!("{proxy:?}").contains("dXNl"), "{proxy:?}");
        for no in ["*", "backend.test", "other, .test", "test", "backend.test:4318", "BACKEND.test"]
        {
            assert_eq!(chosen(no, true, "backend.test"), None, "{no}");
        }
        for no in ["kend.test", "backend.test:4317", "backend.test.org", "10.0.0.0/8"] {
            assert!(chosen(no, true, "backend.test").is_some(), "{no}");
        }
        for (no, host) in [
            ("", "localhost"),
            ("", "127.8.0.1"),
            ("", "[::1]"),
            ("10.0.0.0/8", "10.1.2.3"),
            ("fd00::/8", "[fd00::1]"),
            ("10.1.2.3", "10.1.2.3"),
            ("*", "10.1.2.3"),
        ] {
            assert_eq!(chosen(no, true, host), None, "{no} {host}");
        }
    }

    #[test]
    fn a_setting_is_asked_before_the_environment() {
        let url: Uri = "http://10.0.0.1/".parse().unwrap();
        let found = Proxy::on_the_way(&url, "proxy:1", "proxy_url").unwrap();
        assert_eq!(found.unwrap().authority(), "proxy:1");
        assert!(Proxy::on_the_way(&url, "ftp://proxy", "proxy_url").is_err());
        let loopback: Uri = "https://127.0.0.1/".parse().unwrap();
        assert_eq!(Proxy::on_the_way(&loopback, "", "proxy_url"), Ok(None));
    }

    #[test]
    fn what_is_no_proxy_is_an_error() {
        for url in [
            "https://proxy:1",
            "socks5://proxy:1",
            "ftp://proxy",
            "",
            "a b",
            "/x",
            "http://:1",
            "http://u:p@:x",
            "http://proxy:x",
        ] {
            assert_eq!(
                Proxy::from_url(url, "proxy_url"),
                Err(ClientError::Proxy("proxy_url")),
                "{url}"
            );
        }
        assert_eq!(Proxy::from_url("http://proxy:1", "proxy_url").unwrap().authority(), "proxy:1");
        assert_eq!(Proxy::from_url("proxy:1", "proxy_url").unwrap().authority(), "proxy:1");
        let broken = ProxyEnvironment { https: "ftp://x".into(), ..ProxyEnvironment::default() };
        assert_eq!(broken.proxy(true, "a", 1), Err(ClientError::Proxy("HTTPS_PROXY")));
    }
}
