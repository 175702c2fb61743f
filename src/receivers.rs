//! The OTLP receivers of a tier, from configuration to running.

use std::sync::Arc;
use std::time::Duration;

use tailgate_common::config::{self, Named, OtlpReceiver};
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::tls::{ServerFiles, server_config};
use tailgate_common::receive::{
    Gate, Ingest, Server, ServerHandle, ServerSettings, ServerStats, Serves, Transport,
};

use crate::exporters::versions;

/// The running receivers.
pub struct Receivers(Vec<(Transport, ServerHandle)>);

/// Listens on all endpoints of the receivers.
pub async fn start<I: Ingest + Clone>(
    receivers: &[Named<OtlpReceiver>],
    ingest: &I,
    budget: &ByteBudget,
    gate: Option<&Gate>,
) -> anyhow::Result<Receivers> {
    let mut servers = Vec::new();
    for Named { config, .. } in receivers {
        let grpc = config.grpc.as_ref().map(grpc).transpose()?;
        let http = config.http.as_ref().map(http).transpose()?;
        for settings in grpc.into_iter().chain(http) {
            let transport = match settings.serves {
                Serves::Grpc => Transport::Grpc,
                Serves::Http { .. } => Transport::Http,
            };
            let gate = gate.cloned();
            let server = Server::bind(settings, ingest.clone(), budget.clone(), gate).await?;
            servers.push((transport, server));
        }
    }
    // Nothing is served until all are bound.
    Ok(Receivers(servers.into_iter().map(|(by, server)| (by, server.spawn())).collect()))
}

fn grpc(config: &config::GrpcServer) -> anyhow::Result<ServerSettings> {
    let mut settings = ServerSettings {
        tls: config.tls.as_ref().map(|tls| tls_config(tls, &[b"h2"])).transpose()?,
        max_recv_msg_size: config.max_recv_msg_bytes,
        ..ServerSettings::grpc(&config.endpoint)
    };
    if config.max_concurrent_streams > 0 {
        settings.max_concurrent_streams = config.max_concurrent_streams;
    }
    Ok(settings)
}

fn http(config: &config::HttpServer) -> anyhow::Result<ServerSettings> {
    let alpn: [&[u8]; 2] = [b"h2", b"http/1.1"];
    Ok(ServerSettings {
        tls: config.tls.as_ref().map(|tls| tls_config(tls, &alpn)).transpose()?,
        max_request_body_size: config.max_request_body_bytes,
        serves: Serves::Http { traces_path: config.traces_url_path.clone() },
        ..ServerSettings::http(&config.endpoint)
    })
}

/// A server's TLS from its files.
pub fn tls_config(
    tls: &config::ServerTls,
    alpn: &[&[u8]],
) -> anyhow::Result<Arc<rustls::ServerConfig>> {
    let files = ServerFiles {
        cert_file: tls.cert_file.clone(),
        key_file: tls.key_file.clone(),
        client_ca_file: tls.client_ca_file.clone(),
        versions: versions(tls.min_version, tls.max_version),
    };
    Ok(server_config(&files, alpn)?)
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
