//! `tailgate loadbalancer`: tier 1, wired.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tailgate_common::client::OtlpGrpcClient;
use tailgate_common::clock::{Clock, SystemClock};
use tailgate_common::config::OtlpClient;
use tailgate_common::limit::ByteBudget;
use tailgate_common::peer::Role;
use tailgate_common::receive::{Code, Gate, Refusal};
use tailgate_loadbalancer::config::{LoadBalancerConfig, RoutingKey};
use tailgate_loadbalancer::{
    Backends, ConnectError, Link, LoadBalancer, Member, Options, Routing, StaticResolver,
};

use crate::process::{self, Failure};
use crate::sampler::Memory;
use crate::{exporters, members, observe, receivers};

/// After this the load balancer takes spans whatever answers.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Runs a load balancer until it is told to stop.
pub fn run(path: &Path) -> Result<ExitCode, Failure> {
    let (config, notes) = LoadBalancerConfig::load(&path.to_string_lossy(), &process::env)?;
    process::print_notes(&notes);
    check(&config)?;
    let runtime = process::runtime()?;
    Ok(runtime.block_on(serve(config))?)
}

/// What `validate` checks beyond the file's text.
pub fn check(config: &LoadBalancerConfig) -> Result<(), Failure> {
    let peers = !config.shared.tailgate.members.is_empty();
    if peers && config.exporter.config.routing_key == RoutingKey::Service {
        let error = anyhow::anyhow!(
            "routing_key service is for plain OTLP backends: tailgate.members own traces"
        );
        return Err(error.into());
    }
    Ok(())
}

async fn serve(config: LoadBalancerConfig) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let shared = &config.shared;
    let observed = observe::start(shared, "loadbalancer").await?;
    let memory = Memory::of(shared);
    let tailgate = &shared.tailgate;
    let exporter = &config.exporter.config;
    let options = Options {
        routing: match exporter.routing_key {
            RoutingKey::TraceId => Routing::TraceId,
            RoutingKey::Service => Routing::Service,
        },
        eject_after: tailgate.eject_after,
        ..Options::new(ByteBudget::new(memory.held))
    };
    let balancer = if tailgate.members.is_empty() {
        let resolver = StaticResolver::of_endpoints(exporter.backends.clone());
        LoadBalancer::start(options, &resolver, otlp(exporter.client.clone()), clock)
    } else {
        let resolver = StaticResolver::new(tailgate.members.iter().map(|member| Member {
            name: member.name.as_str().into(),
            endpoint: member.endpoint.clone(),
        }));
        let identity = members::identity(tailgate, Role::LoadBalancer)?;
        let digest = identity.digest.clone();
        let connect = members::connector(tailgate, identity, clock.clone());
        let connect = move |member: &Member| -> Result<Link, ConnectError> {
            let client = connect(&member.name, &member.endpoint);
            Ok(Link::Peer(client.map_err(ConnectError::from)?))
        };
        LoadBalancer::start(options, &resolver, Backends::peers(Box::new(connect), digest), clock)
    };
    let balancer = Arc::new(balancer);
    observed.watch_load_balancer(&config, &balancer);

    let incoming = ByteBudget::new(memory.incoming);
    let stopping = Arc::new(AtomicBool::new(false));
    let gate = gate(&stopping);
    let mut signal = process::StopSignal::new()?;
    connected(&balancer).await;
    let receivers = receivers::start(&shared.receivers, &balancer, &incoming, &gate).await?;
    observed.ready();

    let signal = signal.wait().await;
    tracing::info!(signal, "stopping");
    observed.stopping();
    let deadline = Instant::now() + tailgate.shutdown_timeout;
    receivers.shutdown(deadline.saturating_duration_since(Instant::now())).await;
    stopping.store(true, Ordering::Release);
    let ledger = balancer.stats().ledger();
    observed.end().await;
    // It acknowledges only what a sampler holds, so it can lose nothing.
    Ok(process::last_words(&ledger, 0))
}

/// Waits a moment for the samplers: before they are connected their deputies would hold for them.
async fn connected(balancer: &LoadBalancer) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let all = async {
        while !balancer.backends().iter().all(|backend| backend.is_connected()) {
            look.tick().await;
        }
    };
    if tokio::time::timeout(CONNECT_WITHIN, all).await.is_err() {
        tracing::warn!("not all samplers answer; their deputies hold for them");
    }
}

fn gate(stopping: &Arc<AtomicBool>) -> Gate {
    let stopping = stopping.clone();
    Arc::new(move || {
        let refusal = || Refusal {
            retry_after: Some(Duration::from_secs(1)),
            ..Refusal::new(Code::Unavailable, "this load balancer is shutting down")
        };
        stopping.load(Ordering::Acquire).then(refusal)
    })
}

/// Backends that are not ours.
fn otlp(client: OtlpClient) -> Backends {
    Backends::otlp(Box::new(move |member| {
        let settings = OtlpClient { endpoint: member.endpoint.clone(), ..client.clone() };
        let settings = exporters::client_settings(&settings)?;
        Ok(Link::Otlp(Box::new(OtlpGrpcClient::new(settings)?)))
    }))
}
