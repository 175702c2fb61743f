//! The OTLP receivers of a tier, from configuration to running.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use tailgate_common::config::{self, Authenticator, Named, Shared};
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::tls::server_config;
use tailgate_common::receive::{
    Cors, Gate, HttpServes, Ingest, Server, ServerHandle, ServerSettings, ServerStats, Serves,
    Transport,
};

use crate::auth;

/// The running receivers.
pub struct Receivers(Vec<(Transport, ServerHandle)>);

/// Listens on all endpoints of the receivers.
pub async fn start<I: Ingest + Clone>(
    shared: &Shared,
    ingest: &I,
    budget: &ByteBudget,
    gate: Option<&Gate>,
) -> anyhow::Result<Receivers> {
    let mut servers = Vec::new();
    let known = &shared.authenticators;
    for Named { config, .. } in &shared.receivers {
        let grpc = config.grpc.as_ref().map(|config| grpc(config, known)).transpose()?;
        let http = config.http.as_ref().map(|config| http(config, known)).transpose()?;
        for settings in grpc.into_iter().chain(http) {
            let transport = match settings.serves {
                Serves::Grpc => Transport::Grpc,
                Serves::Http(_) => Transport::Http,
            };
            let gate = gate.cloned();
            let server = Server::bind(settings, ingest.clone(), budget.clone(), gate).await?;
            servers.push((transport, server));
        }
    }
    // Nothing is served until all are bound.
    Ok(Receivers(servers.into_iter().map(|(by, server)| (by, server.spawn())).collect()))
}

fn grpc(
    config: &config::GrpcServer,
    known: &[Named<Authenticator>],
) -> anyhow::Result<ServerSettings> {
    let mut settings = ServerSettings {
        tls: config.tls.as_ref().map(|tls| server_config(tls, &[b"h2"])).transpose()?,
        auth: auth::checker(config.auth.as_ref(), known)?,
        max_recv_msg_size: config.max_recv_msg_bytes,
        max_connection_idle: config.keepalive.max_connection_idle,
        max_connection_age: config.keepalive.max_connection_age,
        ..ServerSettings::grpc(&config.endpoint)
    };
    if config.max_concurrent_streams > 0 {
        settings.max_concurrent_streams = config.max_concurrent_streams;
    }
    let keepalive = &config.keepalive;
    set(&mut settings.max_connection_age_grace, keepalive.max_connection_age_grace);
    set(&mut settings.keepalive_interval, keepalive.time);
    set(&mut settings.keepalive_timeout, keepalive.timeout);
    Ok(settings)
}

fn http(
    config: &config::HttpServer,
    known: &[Named<Authenticator>],
) -> anyhow::Result<ServerSettings> {
    let alpn: [&[u8]; 2] = [b"h2", b"http/1.1"];
    let connections = &config.connections;
    let [metrics_path, logs_path] = config.other_url_paths.clone();
    let serves = HttpServes {
        traces_path: config.traces_url_path.clone(),
        metrics_path,
        logs_path,
        encodings: config.encodings.clone(),
    };
    let mut settings = ServerSettings {
        tls: config.tls.as_ref().map(|tls| server_config(tls, &alpn)).transpose()?,
        max_request_body_size: config.max_request_body_bytes,
        auth: auth::checker(config.auth.as_ref(), known)?,
        serves: Serves::Http(Box::new(serves)),
        write_timeout: connections.write_timeout,
        keep_alives: connections.keep_alives,
        max_connection_age: connections.max_connection_age,
        cors: config.cors.as_ref().and_then(cors),
        response_headers: response_headers(config)?,
        ..ServerSettings::http(&config.endpoint)
    };
    set(&mut settings.body_timeout, connections.read_timeout);
    set(&mut settings.header_timeout, connections.read_header_timeout);
    set(&mut settings.idle_timeout, connections.idle_timeout);
    set(&mut settings.max_connection_age_grace, connections.max_connection_age_grace);
    settings.max_connection_idle = Some(settings.idle_timeout);
    Ok(settings)
}

fn set<T>(setting: &mut T, configured: Option<T>) {
    if let Some(value) = configured {
        *setting = value;
    }
}

fn cors(config: &config::Cors) -> Option<Arc<Cors>> {
    let config::Cors { allowed_origins, allowed_headers, exposed_headers, max_age } = config;
    let cors = || Cors::new(allowed_origins, allowed_headers, exposed_headers, *max_age);
    (!allowed_origins.is_empty()).then(|| Arc::new(cors()))
}

fn response_headers(config: &config::HttpServer) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in &config.response_headers {
        let mut value = HeaderValue::from_str(value.expose())?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, value);
    }
    Ok(headers)
}

// === impl Receivers ===

impl Receivers {
    /// Each server's transport and counters.
    pub fn stats(&self) -> Vec<(Transport, Arc<ServerStats>)> {
        self.0.iter().map(|(transport, server)| (*transport, server.stats().clone())).collect()
    }

    /// Stops accepting, and waits for the requests in flight, for at most `within`.
    pub async fn shutdown(self, within: Duration) {
        let ends = self.0.into_iter().map(|(_, server)| server.shutdown(within));
        futures_util::future::join_all(ends).await;
    }
}
