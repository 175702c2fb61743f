//! `tailgate loadbalancer`: tier 1, wired.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tailgate_common::client::OtlpGrpcClient;
use tailgate_common::clock::{Clock, SystemClock};
use tailgate_common::config::{Authenticator, Named, OtlpClient, Shown};
use tailgate_common::limit::ByteBudget;
use tailgate_common::peer::Role;
use tailgate_loadbalancer::config::{LoadBalancerConfig, RoutingKey};
use tailgate_loadbalancer::{
    Backends, ConnectError, Link, LoadBalancer, Member, Options, Routing, StaticResolver,
};

use crate::cli;
use crate::process::{self, Failure};
use crate::sampler::Memory;
use crate::{clients, members, observe, receivers};

/// After this the load balancer takes spans whatever answers.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Runs a load balancer until it is told to stop.
pub fn run(source: &cli::Config) -> Result<ExitCode, Failure> {
    let input = source.input()?;
    let (config, notes) = LoadBalancerConfig::from_input(&input)?;
    process::print_notes(&notes);
    let runtime = process::runtime()?;
    Ok(runtime.block_on(serve(config, input.shown()))?)
}

async fn serve(config: LoadBalancerConfig, shown: Shown) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let shared = &config.shared;
    let observed = observe::start(shared, "loadbalancer").await?;
    let memory = Memory::of(shared);
    let tailgate = &shared.tailgate;
    let exporter = &config.exporter.config;
    let in_flight = ByteBudget::new(memory.held);
    let options = options(&config, in_flight.clone())?;
    let balancer = if tailgate.members.is_empty() {
        let resolver = StaticResolver::of_endpoints(exporter.backends.clone());
        {
            let known = config.shared.authenticators.clone();
            LoadBalancer::start(options, &resolver, otlp(exporter.client.clone(), known), clock)
        }
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
    observed.watch_load_balancer(&config, &balancer, &in_flight);
    observed.debug_load_balancer(&config, &shown, &balancer).await?;

    let incoming = ByteBudget::new(memory.incoming);
    let mut signal = process::StopSignal::new()?;
    connected(&balancer).await;
    let receivers = receivers::start(shared, &balancer, &incoming, None).await?;
    observed.watch_receivers(shared, &receivers);
    observed.ready();

    let signal = signal.wait().await;
    tracing::info!(signal, "stopping");
    observed.stopping();
    let deadline = Instant::now() + tailgate.shutdown_timeout;
    receivers.shutdown(deadline.saturating_duration_since(Instant::now())).await;
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

fn options(config: &LoadBalancerConfig, in_flight: ByteBudget) -> anyhow::Result<Options> {
    let (exporter, tailgate) = (&config.exporter.config, &config.shared.tailgate);
    let options = Options {
        routing: match exporter.routing_key {
            RoutingKey::TraceId => Routing::TraceId,
            RoutingKey::Service => Routing::Service,
        },
        eject_after: tailgate.eject_after,
        ..Options::new(in_flight)
    };
    Ok(match tailgate.members.is_empty() {
        true => options.with_attempt(
            clients::grpc_settings(&exporter.client, &config.shared.authenticators)?.timeout,
        ),
        false => options,
    })
}

/// Backends that are not ours.
fn otlp(client: OtlpClient, known: Vec<Named<Authenticator>>) -> Backends {
    Backends::otlp(Box::new(move |member| {
        let settings = OtlpClient { endpoint: member.endpoint.clone(), ..client.clone() };
        let settings = clients::grpc_settings(&settings, &known)?;
        Ok(Link::Otlp(Box::new(OtlpGrpcClient::new(settings)?)))
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tailgate_common::config::Input;

    use super::*;

    /// Time for an attempt and for a request, in seconds.
    fn seconds(exporter: &str, rest: &str) -> (u64, u64) {
        let text = format!(
            "receivers: {{otlp: {{protocols: {{grpc: }}}}}}\n\
             exporters: {{load_balancing: {exporter}}}\n\
             service: {{pipelines: {{traces: {{receivers: [otlp], \
             exporters: [load_balancing]}}}}}}\n{rest}\n"
        );
        let input = Input::parse("f.yaml", &text, &|_| None).unwrap();
        let (config, _) = LoadBalancerConfig::from_input(&input).unwrap();
        let options = options(&config, ByteBudget::new(1)).unwrap();
        (options.timing.attempt.as_secs(), options.timeout.as_secs())
    }

    #[test]
    fn backends_have_the_time_that_is_configured_and_samplers_a_short_one() {
        let to = |otlp: &str| {
            let hosts = "resolver: {static: {hostnames: [a]}}";
            seconds(
                &format!("{{{hosts}, protocol: {{otlp: {{tls: {{insecure: true}}{otlp}}}}}}}"),
                "",
            )
        };
        assert_eq!(to(""), (5, 9));
        assert_eq!(to(", timeout: 20s"), (20, 20));
        let members = "tailgate: {members: [{name: a, endpoint: a:1}], internal: {secret: s}}";
        assert_eq!(seconds("{protocol: {otlp: {timeout: 20s}}}", members), (2, 5));
    }
}
