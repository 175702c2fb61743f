//! The internal protocol's ends, from configuration to running.

use std::net::IpAddr;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustls::pki_types::ServerName;
use tailgate_common::clock::Clock;
use tailgate_common::config::{Internal, InternalTls, Tailgate};
use tailgate_common::limit::ByteBudget;
use tailgate_common::net::Listener;
use tailgate_common::net::tls::{client_config, server_config};
use tailgate_common::ownership::Table;
use tailgate_common::peer::{
    ClientOptions, Identity, PeerClient, PeerServer, PeerService, Plain, RefusedPeers, Role,
    ServerOptions, SharedDigest, SharedSecret, TlsTo,
};
use tailgate_common::reload::DEFAULT_INTERVAL;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Who this process is among the members.
pub fn identity(tailgate: &Tailgate, role: Role) -> anyhow::Result<Identity> {
    let names: Vec<&str> = tailgate.members.iter().map(|member| member.name.as_str()).collect();
    let secret = match tailgate.internal.as_ref().and_then(|internal| internal.secret.as_ref()) {
        Some(source) => SharedSecret::from_source(source, DEFAULT_INTERVAL)
            .context("tailgate.internal.secret")?,
        // Then mutual TLS shows who is who; the configuration has one or the other.
        None => SharedSecret::none(),
    };
    Ok(Identity {
        role,
        name: tailgate.instance.as_str().into(),
        secret,
        digest: SharedDigest::new(Table::new(&names).digest()),
    })
}

/// Opens the way to a member, given its name and endpoint.
pub fn connector(
    tailgate: &Tailgate,
    identity: Identity,
    clock: Arc<dyn Clock>,
) -> impl Fn(&str, &str) -> anyhow::Result<PeerClient> + Send + Sync + 'static {
    let tls = tailgate.internal.as_ref().and_then(|internal| internal.tls.clone());
    move |name, endpoint| {
        let options = ClientOptions::new(identity.clone(), name, endpoint, clock.clone());
        Ok(match &tls {
            None => PeerClient::spawn(options, Plain),
            Some(tls) => PeerClient::spawn(options, tls_to(tls, endpoint)?),
        })
    }
}

/// A client for each member but this one.
pub fn clients(
    tailgate: &Tailgate,
    identity: &Identity,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<PeerClient>> {
    let connect = connector(tailgate, identity.clone(), clock.clone());
    let others = tailgate.members.iter().filter(|member| *member.name != *identity.name);
    others.map(|member| connect(&member.name, &member.endpoint)).collect()
}

/// Listens for load balancers and other samplers until `stop`.
pub async fn serve<P: PeerService>(
    internal: &Internal,
    identity: Identity,
    service: P,
    budget: &ByteBudget,
    refused: Arc<RefusedPeers>,
    stop: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let listener = Listener::bind(&internal.endpoint).await?;
    // Hand-off must find room when new spans have taken theirs.
    let give_back = ByteBudget::new(budget.limit() / 4);
    let options = ServerOptions::new(identity, budget.clone(), give_back);
    let options = ServerOptions { refused, ..options };
    Ok(match &internal.tls {
        None => tokio::spawn(PeerServer::new(listener, Plain, service, options).run(stop)),
        Some(tls) => {
            let acceptor = server_config(&tls.server, &[])?;
            tokio::spawn(PeerServer::new(listener, acceptor, service, options).run(stop))
        }
    })
}

fn tls_to(tls: &InternalTls, endpoint: &str) -> anyhow::Result<TlsTo> {
    let name = server_name(&tls.client.server_name_override, endpoint)?;
    Ok(TlsTo { tls: client_config(&tls.client, &[])?, name })
}

fn server_name(given: &str, endpoint: &str) -> anyhow::Result<ServerName<'static>> {
    let host = match given {
        "" => endpoint.rsplit_once(':').map_or(endpoint, |(host, _)| host),
        name => name,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(ServerName::IpAddress(ip.into()));
    }
    match ServerName::try_from(host.to_owned()) {
        Ok(name) => Ok(name),
        Err(_) => bail!("{host:?} is not a name that a certificate can have"),
    }
}
