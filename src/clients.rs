//! OTLP clients, from configuration to what connects.

use std::sync::Arc;
use std::time::Duration;

use tailgate_common::client::{
    ClientSettings, HttpSettings, OtlpGrpcClient, OtlpHttpClient, Proxy, ProxyEnvironment, Signer,
};
use tailgate_common::clock::Clock;
use tailgate_common::config;
use tailgate_common::config::{Authenticator, Named, Secret};
use tailgate_common::net::tls;
use tailgate_sampler::export::{EndpointLimits, SigV4Signer, XRAY_LIMITS};

use crate::auth;

/// Time for one attempt if none is configured: it must end somewhen.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(60);

/// A client of one OTLP/gRPC endpoint.
pub fn grpc(
    otlp: &config::OtlpClient,
    known: &[Named<Authenticator>],
) -> anyhow::Result<OtlpGrpcClient> {
    Ok(OtlpGrpcClient::new(grpc_settings(otlp, known)?)?)
}

/// The settings of such a client.
pub fn grpc_settings(
    otlp: &config::OtlpClient,
    known: &[Named<Authenticator>],
) -> anyhow::Result<ClientSettings> {
    Ok(ClientSettings {
        tls: client_tls(&otlp.tls, &[b"h2"])?,
        server_name: given(&otlp.tls.server_name_override),
        authority: given(&otlp.authority),
        // Connections of gRPC go through the proxy for https, whatever they carry, as in grpc-go.
        proxy: grpc_proxy(&otlp.endpoint)?,
        compression: otlp.compression,
        auth: auth::credentials(otlp.auth.as_ref(), known)?,
        headers: headers(&otlp.headers),
        timeout: at_most(otlp.timeout),
        ping: Some(otlp.keepalive),
        ..ClientSettings::new(&otlp.endpoint)
    })
}

/// A client of one OTLP/HTTP URL.
pub fn http(
    otlp: &config::OtlpHttpClient,
    known: &[Named<Authenticator>],
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<OtlpHttpClient> {
    let limits = http_limits(otlp, known);
    let signer = match auth::sigv4(otlp.auth.as_ref(), known) {
        Some(sigv4) => Some(Arc::new(SigV4Signer::for_otlp(sigv4, &otlp.url, clock.clone())?)),
        None => None,
    };
    // X-Ray's endpoint speaks HTTP/1.1.
    let alpn: &[&[u8]] =
        if otlp.http2 && limits.is_none() { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
    let client = ClientSettings {
        tls: client_tls(&otlp.tls, alpn)?,
        server_name: given(&otlp.tls.server_name_override),
        proxy: Proxy::on_the_way(&otlp.url.parse()?, otlp.proxy_url.expose(), "proxy_url")?,
        compression: otlp.compression,
        level: otlp.level,
        auth: match signer {
            Some(_) => None,
            None => auth::credentials(otlp.auth.as_ref(), known)?,
        },
        headers: headers(&otlp.headers),
        timeout: at_most(otlp.timeout),
        ping: otlp.ping,
        ..ClientSettings::new(&otlp.url)
    };
    Ok(OtlpHttpClient::new(HttpSettings {
        client,
        json: otlp.json,
        max_idle: otlp.max_idle,
        idle_timeout: Some(otlp.idle_timeout).filter(|timeout| !timeout.is_zero()),
        signer: signer.map(|signer| signer as Arc<dyn Signer>),
        max_body: limits.map(|limits| limits.request_bytes),
        clock: clock.clone(),
    })?)
}

/// The limits of the endpoint, if it is one of which they are known.
pub fn http_limits(
    otlp: &config::OtlpHttpClient,
    known: &[Named<Authenticator>],
) -> Option<EndpointLimits> {
    let sigv4 = auth::sigv4(otlp.auth.as_ref(), known)?;
    sigv4.scope(&otlp.url).is_xray().then_some(XRAY_LIMITS)
}

fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A configured timeout; 0 means none.
pub fn at_most(timeout: Duration) -> Duration {
    if timeout.is_zero() { LONGEST_ATTEMPT } else { timeout }
}

fn headers(headers: &[(String, Secret)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect()
}

/// The proxy to `host:port`, if the environment names one. Not for unix sockets.
fn grpc_proxy(place: &str) -> anyhow::Result<Option<Proxy>> {
    let parsed = place.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let Some((host, port)) = parsed else { return Ok(None) };
    Ok(ProxyEnvironment::current().proxy(true, host, port)?)
}

fn client_tls(tls: &config::ClientTls, alpn: &[&[u8]]) -> anyhow::Result<Option<tls::ClientTls>> {
    if tls.insecure {
        return Ok(None);
    }
    Ok(Some(tls::client_config(tls, alpn)?))
}
