//! The configuration files of the fleets.

use std::fmt::Write as _;
use std::net::SocketAddr;

use crate::node::Ports;

/// What a fleet is like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Load balancers.
    pub balancers: usize,
    /// Samplers.
    pub samplers: usize,
    /// Of the samplers.
    pub decision_wait: &'static str,
    /// Of all.
    pub eject_after: &'static str,
    /// Of the samplers.
    pub shutdown_timeout: &'static str,
    /// `memory_limiter.limit_mib` of the samplers.
    pub memory_mib: u32,
    /// Keep errors and some of the rest, instead of everything.
    pub policies: bool,
    /// The percentage of the rest.
    pub chance: u32,
    /// Refuse, rather than give up kept traces, when the backend takes nothing for long.
    pub block_on_overflow: bool,
}

/// A member's name and its address for whoever reads the file.
pub type Member = (String, SocketAddr);

const SECRET: &str = "correct horse battery staple";

const KEEP_ALL: &str = "      - {name: all, type: always_sample}\n";
const KEEP_SOME: &str =
    "      - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
      - {name: some, type: probabilistic, probabilistic: {sampling_percentage: CHANCE}}
";

// === impl Setup ===

impl Default for Setup {
    fn default() -> Self {
        Setup {
            balancers: 1,
            samplers: 2,
            decision_wait: "1500ms",
            eject_after: "30s",
            shutdown_timeout: "10s",
            memory_mib: 512,
            policies: false,
            chance: 10,
            block_on_overflow: true,
        }
    }
}

impl Setup {
    /// Of a sampler that exports to `backend`.
    pub fn sampler(
        &self,
        name: &str,
        ports: &Ports,
        members: &[Member],
        backend: SocketAddr,
    ) -> String {
        let policies = if self.policies { KEEP_SOME } else { KEEP_ALL };
        let policies = policies.replace("CHANCE", &self.chance.to_string());
        format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: \"{otlp}\"}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: {memory}}}
  tail_sampling:
    decision_wait: {wait}
    policies:
{policies}exporters:
  otlp_grpc:
    endpoint: {backend}
    tls: {{insecure: true}}
    retry_on_failure: {{initial_interval: 200ms, max_interval: 1s}}
    sending_queue: {{block_on_overflow: {block}}}
{service}{tailgate}",
            otlp = ports.otlp.addr(),
            memory = self.memory_mib,
            wait = self.decision_wait,
            block = self.block_on_overflow,
            service = service(ports, "memory_limiter, tail_sampling", "otlp_grpc"),
            tailgate = self.tailgate(name, ports, members, true),
        )
    }

    /// Of a load balancer in front of our samplers.
    pub fn balancer(&self, name: &str, ports: &Ports, members: &[Member]) -> String {
        format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: \"{}\"}}
exporters:
  load_balancing: {{routing_key: traceID}}
{}{}",
            ports.otlp.addr(),
            service(ports, "", "load_balancing"),
            self.tailgate(name, ports, members, false),
        )
    }

    fn tailgate(&self, name: &str, ports: &Ports, members: &[Member], listens: bool) -> String {
        let endpoint = match listens {
            true => format!("endpoint: \"{}\", ", ports.internal.addr()),
            false => String::new(),
        };
        let mut text = format!(
            "tailgate:
  instance: {name}
  admin: {{endpoint: \"{admin}\"}}
  internal: {{{endpoint}secret: \"{SECRET}\"}}
  shutdown_timeout: {shutdown}
  eject_after: {eject}
  members:
",
            admin = ports.admin.addr(),
            shutdown = self.shutdown_timeout,
            eject = self.eject_after,
        );
        for (name, address) in members {
            let _ = writeln!(text, "    - {{name: {name}, endpoint: \"{address}\"}}");
        }
        text
    }
}

/// Of a load balancer in front of backends that know nothing but OTLP.
pub fn plain_balancer(ports: &Ports, backends: &[SocketAddr]) -> String {
    let backends: Vec<String> = backends.iter().map(|b| format!("\"{b}\"")).collect();
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: \"{}\"}}
exporters:
  load_balancing:
    routing_key: traceID
    protocol: {{otlp: {{timeout: 3s, tls: {{insecure: true}}}}}}
    resolver: {{static: {{hostnames: [{}]}}}}
{}",
        ports.otlp.addr(),
        backends.join(", "),
        service(ports, "", "load_balancing"),
    )
}

fn service(ports: &Ports, processors: &str, exporter: &str) -> String {
    format!(
        "extensions:
  health_check: {{endpoint: \"{}\"}}
service:
  extensions: [health_check]
  telemetry:
    metrics:
      level: normal
      readers:
        - pull:
            exporter:
              prometheus: {{host: 127.0.0.1, port: {}}}
  pipelines:
    traces:
      receivers: [otlp]
      processors: [{processors}]
      exporters: [{exporter}]
",
        ports.health.addr(),
        ports.metrics,
    )
}
