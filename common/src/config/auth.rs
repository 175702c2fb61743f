//! Authenticators: the `bearertokenauth`, `basicauth` and `sigv4auth` extensions, and what refers to
//! them.

use std::path::PathBuf;
use std::str::FromStr;

use http::HeaderName;

use super::component::{Component, ComponentId, Section};
use super::document::Document;
use super::endpoint::is_loopback;
use super::http_client::OtlpHttpClient;
use super::known::{self, Answer};
use super::pipeline::Tier;
use super::reader::Reader;
use super::secret::{Secret, SecretSource};
use super::shared::Named;
use super::sigv4::SigV4;
use super::source::Mark;
use super::tls::path;

/// An extension that checks clients, or stands for us.
#[derive(Clone, Debug, PartialEq)]
pub enum Authenticator {
    /// `bearertokenauth`.
    Bearer {
        /// The header; default `Authorization`.
        header: HeaderName,
        /// What stands before the token; default `Bearer`.
        scheme: String,
        /// `token` or `tokens`.
        tokens: Vec<Secret>,
        /// `filename`: one token a line.
        file: Option<PathBuf>,
    },
    /// `basicauth` with `htpasswd`.
    BasicServer {
        /// `inline`.
        inline: Secret,
        /// `file`.
        file: Option<PathBuf>,
    },
    /// `basicauth` with `client_auth`.
    BasicClient {
        /// `username` or `username_file`.
        username: SecretSource,
        /// `password` or `password_file`.
        password: SecretSource,
    },
    /// `sigv4auth`.
    SigV4(SigV4),
}

/// Who refers to an authenticator.
#[derive(Clone, Copy, Debug)]
pub enum Referrer<'a> {
    /// A receiver, to check its clients.
    Server,
    /// A gRPC client.
    Grpc,
    /// An HTTP client.
    Http(&'a OtlpHttpClient),
}

/// A reference to an authenticator, `auth: {authenticator: id}`.
#[derive(Clone, Debug)]
pub struct AuthRef {
    /// The extension.
    pub id: ComponentId,
    mark: Mark,
    path: String,
}

const AUTH: &str = "define bearertokenauth, basicauth or sigv4auth below extensions";

/// Whether `kind` is an authenticator that is read.
pub(super) fn is_read(kind: &str) -> bool {
    let (bearer, basic) = (["bearertokenauth", "bearer_token_auth"], ["basicauth", "basic_auth"]);
    bearer.contains(&kind) || basic.contains(&kind) || kind == "sigv4auth"
}

/// Reads an authenticator's block; `None` after an error.
pub(super) fn read(component: &Component<'_>) -> Option<Named<Authenticator>> {
    let r = component.reader()?;
    let config = match component.id.kind.as_str() {
        "basicauth" | "basic_auth" => basic(&r),
        "sigv4auth" => SigV4::read(&r).map(Authenticator::SigV4),
        _ => bearer(&r),
    }?;
    Some(Named { id: component.id.clone(), config })
}

fn bearer(r: &Reader<'_>) -> Option<Authenticator> {
    let mut tokens: Vec<Secret> = r.list("tokens").iter().filter_map(|i| i.secret()).collect();
    let token = r.secret("token");
    if !token.is_empty() {
        if !tokens.is_empty() {
            r.error("token", "tokens are given too", "keep one of them");
        }
        tokens.insert(0, token);
    }
    let why = "has no effect: a file that is not there yet ends the start, to be tried again by \
               whoever started it";
    r.accept(&["retry_on_failure", "wait_for_token_file"], why);
    tokens.retain(|token| !token.expose().is_empty());
    let file = path(r, "filename");
    match (tokens.is_empty(), &file) {
        (true, None) => {
            r.error("token", "is missing", "give token, tokens or filename");
            return None;
        }
        (false, Some(_)) => r.error("filename", "tokens are given too", "keep one of them"),
        _ => {}
    }
    let name = r.string_or("header", "Authorization");
    let Ok(header) = HeaderName::from_str(&name) else {
        r.error("header", &format!("{name:?} is no name of a header"), "use letters and `-`");
        return None;
    };
    Some(Authenticator::Bearer { header, scheme: r.string_or("scheme", "Bearer"), tokens, file })
}

fn basic(r: &Reader<'_>) -> Option<Authenticator> {
    if let Some(client) = r.map("client_auth") {
        if r.has("htpasswd") {
            r.error("client_auth", "htpasswd is given too", "make two extensions of it");
        }
        let given = |file, inline| {
            // As in the collector, the file counts.
            let inline = SecretSource::Inline(client.secret(inline));
            path(&client, file).map_or(inline, SecretSource::File)
        };
        let username = given("username_file", "username");
        if username == SecretSource::Inline(Secret::default()) {
            client.error("username", "is missing", "give username and password");
        }
        let password = given("password_file", "password");
        return Some(Authenticator::BasicClient { username, password });
    }
    let Some(users) = r.map("htpasswd") else {
        r.error("htpasswd", "is missing", "give htpasswd, or client_auth for an exporter");
        return None;
    };
    let (inline, file) = (users.secret("inline"), path(&users, "file"));
    if inline.expose().is_empty() && file.is_none() {
        users.error("file", "is missing", "give file or inline");
        return None;
    }
    Some(Authenticator::BasicServer { inline, file })
}

// === impl Authenticator ===

impl Authenticator {
    /// What keeps it from doing what is asked of it, and what to do about that.
    fn faults(&self, by: Referrer<'_>) -> Vec<(&'static str, &'static str)> {
        match (self, by) {
            (Self::BasicClient { .. }, Referrer::Server) => {
                vec![("cannot check clients", "give it htpasswd")]
            }
            (Self::BasicServer { .. }, Referrer::Grpc | Referrer::Http(_)) => {
                vec![("has no credentials", "give it client_auth")]
            }
            (Self::SigV4(_), Referrer::Server) => {
                vec![("cannot check clients", "use bearertokenauth or basicauth for receivers")]
            }
            (Self::SigV4(_), Referrer::Grpc) => {
                vec![("signs HTTP requests only", "use the exporter otlp_http")]
            }
            (Self::SigV4(sigv4), Referrer::Http(client)) => sigv4.faults(client),
            _ => Vec::new(),
        }
    }
}

// === impl AuthRef ===

impl AuthRef {
    /// Reads an `auth` block, if there is one.
    pub fn read(r: &Reader<'_>) -> Option<Self> {
        let auth = r.map("auth")?;
        auth.refuse(&["request_params"], "send credentials in a header");
        let Some(item) = auth.take("authenticator") else {
            auth.error("authenticator", "is missing", "name an extension such as bearertokenauth");
            return None;
        };
        let text = item.string()?;
        let Some(id) = ComponentId::parse(&text) else {
            item.error(&format!("{text:?} is no extension"), "write type or type/name");
            return None;
        };
        Some(Self { id, mark: item.mark(), path: item.path.clone() })
    }

    /// Says that credentials are in the clear, if there are any: `at` is the `host:port` of a server without TLS.
    pub(super) fn note_clear(r: &Reader<'_>, at: &str) {
        if r.has("auth") && !at.starts_with("unix:") && !is_loopback(at) {
            r.note("auth", "credentials are sent in the clear: there is no tls");
        }
    }

    /// Checks that the extension is defined, in service, and can do what is asked of it.
    pub fn check(&self, document: &Document<'_>, by: Referrer<'_>, known: &[Named<Authenticator>]) {
        let id = &self.id;
        let fail = |what: String, help: String| {
            document.diag().error(self.mark, format!("{}: {what}", self.path), help);
        };
        let Some(found) = known.iter().find(|named| named.id == *id) else {
            if document.extensions.iter().any(|e| e.id == *id) && is_read(&id.kind) {
                return; // its own errors say why
            }
            let defined = document.extensions.iter().any(|e| e.id == *id);
            let answer = known::answer(Tier::Sampler, Section::Extensions, &id.kind);
            return match answer {
                Some(Answer::LeftOut(help)) if defined => {
                    fail(format!("\"{id}\" is not supported here"), help.to_owned());
                }
                _ if defined => fail(format!("\"{id}\" is no authenticator"), AUTH.to_owned()),
                _ => fail(format!("\"{id}\" is not defined in extensions"), AUTH.to_owned()),
            };
        };
        if !document.active.iter().any(|active| active.id == *id) {
            let help = format!("add {id} to service.extensions");
            return fail(format!("\"{id}\" is not in service"), help);
        }
        for (what, help) in found.config.faults(by) {
            fail(format!("\"{id}\" {what}"), help.to_owned());
        }
    }
}

impl PartialEq for AuthRef {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
