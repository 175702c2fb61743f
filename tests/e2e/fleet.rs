//! Running nodes: their ports, their configurations and what they say of themselves.

use crate::SOON;
use std::fmt::Write as _;
use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::checker::Keep;
use tailgate_testkit::ports::Port;
use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::prom::Metrics;
use tailgate_testkit::sink::Sink;
use tailgate_testkit::traffic::Trace;
use tailgate_testkit::wait::eventually;

/// Keeps traces with an error, and those of 5 s or more.
pub const ERRORS_AND_SLOW: &str = "{decision_wait: 2s, policies: [\
    {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}, \
    {name: slow, type: latency, latency: {threshold_ms: 5000}}]}";

/// The ports of a node, all on 127.0.0.1.
pub struct Ports {
    pub grpc: Port,
    pub http: Port,
    pub metrics: Port,
    pub health: Port,
    pub internal: Port,
    pub admin: Port,
}

/// A running load balancer or sampler.
pub struct Node {
    pub process: Process,
    pub ports: Ports,
}

/// What differs between the configurations of the tests. The texts are YAML.
pub struct Plan {
    /// The settings of `tail_sampling`; without them a sampler passes everything on.
    pub tail_sampling: Option<String>,
    /// Of `memory_limiter`.
    pub limit_mib: u32,
    /// The name of the exporter and its settings.
    pub exporter: (&'static str, String),
    /// What the receivers of the first tier have besides their endpoints.
    pub receiver: String,
    /// How nodes of both tiers know each other: what `internal` has besides its endpoint.
    pub internal: String,
    /// Files that the texts name, in the directory of each node.
    pub files: Vec<(&'static str, String)>,
    /// Environment variables of each node.
    pub env: Vec<(&'static str, String)>,
    pub shutdown_timeout: &'static str,
}

/// A load balancer before samplers.
pub struct Fleet {
    pub loadbalancer: Node,
    pub samplers: Vec<Node>,
}

/// What the policies of [`ERRORS_AND_SLOW`] do with a trace.
pub fn keep_errors_and_slow(trace: &Trace) -> Keep {
    if trace.error.is_some() || trace.slow { Keep::Yes } else { Keep::No }
}

/// The binary under test.
pub fn tailgate() -> Spec {
    // Any credentials will do; the chain must not go looking for real ones.
    Spec::new(env!("CARGO_BIN_EXE_tailgate"))
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("NO_PROXY", "127.0.0.1")
}

// === impl Plan ===

impl Plan {
    /// [`ERRORS_AND_SLOW`], with this exporter.
    pub fn exporting(name: &'static str, settings: impl Into<String>) -> Self {
        Plan {
            tail_sampling: Some(ERRORS_AND_SLOW.to_owned()),
            limit_mib: 256,
            exporter: (name, settings.into()),
            receiver: String::new(),
            internal: "secret: between-us".to_owned(),
            files: Vec::new(),
            env: Vec::new(),
            shutdown_timeout: "20s",
        }
    }

    /// As [`Plan::exporting`], to a sink.
    pub fn to_sink(sink: &Sink) -> Self {
        let endpoint = sink.addr();
        let retry = "{initial_interval: 100ms, max_interval: 500ms}";
        let settings = format!(
            "{{endpoint: \"{endpoint}\", tls: {{insecure: true}}, retry_on_failure: {retry}}}"
        );
        Self::exporting("otlp_grpc", settings)
    }

    /// The configuration of a sampler among `members`.
    pub fn sampler(&self, name: &str, ports: &Ports, members: &[(String, &Ports)]) -> String {
        let (exporter, settings) = &self.exporter;
        let (limit, spike) = (self.limit_mib, self.limit_mib / 8);
        let mut text = receivers(ports, "");
        let _ = writeln!(
            text,
            "processors:\n  memory_limiter: {{check_interval: 1s, limit_mib: {limit}, \
             spike_limit_mib: {spike}}}"
        );
        let mut processors = "memory_limiter".to_owned();
        if let Some(settings) = &self.tail_sampling {
            let _ = writeln!(text, "  tail_sampling: {settings}");
            processors.push_str(", tail_sampling");
        }
        let _ = writeln!(text, "exporters:\n  {exporter}: {settings}");
        text + &service(ports, &processors, exporter)
            + &self.tailgate(
                name,
                ports,
                members,
                &format!("endpoint: \"{}\", ", addr(&ports.internal)),
            )
    }

    /// The configuration of a load balancer before `members`.
    pub fn loadbalancer(&self, ports: &Ports, members: &[(String, &Ports)]) -> String {
        receivers(ports, &self.receiver)
            + "exporters:\n  load_balancing: {routing_key: traceID}\n"
            + &service(ports, "", "load_balancing")
            + &self.tailgate("front", ports, members, "")
    }

    fn tailgate(
        &self,
        name: &str,
        ports: &Ports,
        members: &[(String, &Ports)],
        own: &str,
    ) -> String {
        let members: Vec<String> = members
            .iter()
            .map(|(name, ports)| {
                format!("{{name: {name}, endpoint: \"{}\"}}", addr(&ports.internal))
            })
            .collect();
        format!(
            "tailgate:\n  instance: {name}\n  admin: {{endpoint: \"{}\"}}\n  \
             shutdown_timeout: {}\n  internal: {{{own}{}}}\n  members: [{}]\n",
            addr(&ports.admin),
            self.shutdown_timeout,
            self.internal,
            members.join(", "),
        )
    }

    /// Starts `tailgate role` without waiting until it is ready.
    pub fn start(&self, role: &str, ports: Ports, config: String) -> Node {
        let files = self.files.iter();
        let spec = files.fold(tailgate(), |spec, (name, content)| spec.file(name, content));
        let spec = self.env.iter().fold(spec, |spec, (key, value)| spec.env(key, value));
        let process = spec.arg(role).config(config).start().unwrap();
        Node { process, ports }
    }

    /// Starts one sampler that works alone.
    pub async fn alone(&self) -> Node {
        let ports = Ports::reserve();
        let config = self.sampler("alone", &ports, &[]);
        let mut node = self.start("sampler", ports, config);
        node.ready().await;
        node
    }

    /// Starts a load balancer and so many samplers.
    pub async fn fleet(&self, samplers: usize) -> Fleet {
        let ports: Vec<Ports> = (0..samplers).map(|_| Ports::reserve()).collect();
        let members: Vec<(String, &Ports)> =
            ports.iter().enumerate().map(|(n, ports)| (format!("sampler-{n}"), ports)).collect();
        let configs: Vec<String> =
            members.iter().map(|(name, ports)| self.sampler(name, ports, &members)).collect();
        let front = Ports::reserve();
        let config = self.loadbalancer(&front, &members);
        drop(members);
        let start = |(ports, config)| self.start("sampler", ports, config);
        let samplers: Vec<Node> = ports.into_iter().zip(configs).map(start).collect();
        let loadbalancer = self.start("loadbalancer", front, config);
        let mut fleet = Fleet { loadbalancer, samplers };
        for node in fleet.nodes_mut() {
            node.ready().await;
        }
        fleet
    }
}

fn addr(port: &Port) -> String {
    port.addr().to_string()
}

fn receivers(ports: &Ports, more: &str) -> String {
    let (grpc, http) = (addr(&ports.grpc), addr(&ports.http));
    format!(
        "receivers:\n  otlp:\n    protocols:\n      grpc: {{endpoint: \"{grpc}\"{more}}}\n      \
         http: {{endpoint: \"{http}\"{more}}}\n"
    )
}

fn service(ports: &Ports, processors: &str, exporter: &str) -> String {
    format!(
        "extensions:\n  health_check: {{endpoint: \"{}\"}}\nservice:\n  \
         extensions: [health_check]\n  telemetry:\n    metrics:\n      level: normal\n      \
         readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {}}}}}}}}}]\n  \
         pipelines:\n    traces: {{receivers: [otlp], processors: [{processors}], \
         exporters: [{exporter}]}}\n",
        addr(&ports.health),
        ports.metrics,
    )
}

// === impl Ports ===

impl Ports {
    pub fn reserve() -> Self {
        let port = || Port::reserve().unwrap();
        Ports {
            grpc: port(),
            http: port(),
            metrics: port(),
            health: port(),
            internal: port(),
            admin: port(),
        }
    }
}

// === impl Node ===

impl Node {
    /// `http://host:port` of OTLP/gRPC.
    pub fn grpc(&self) -> String {
        format!("http://{}", addr(&self.ports.grpc))
    }

    /// `http://host:port` of OTLP/HTTP.
    pub fn http(&self) -> String {
        format!("http://{}", addr(&self.ports.http))
    }

    pub fn health(&self) -> String {
        format!("http://{}/", addr(&self.ports.health))
    }

    pub async fn ready(&mut self) {
        let url = self.health();
        self.process.wait_http(&url, 200, SOON).await.unwrap();
    }

    pub async fn metrics(&self) -> Metrics {
        let url = format!("http://{}/metrics", addr(&self.ports.metrics));
        Metrics::scrape(&url).await.unwrap()
    }

    /// Its ledger now; it must balance.
    pub async fn ledger(&self) -> NodeLedger {
        let ledger = NodeLedger::from_metrics(&self.metrics().await).unwrap();
        ledger.balance().unwrap();
        ledger
    }

    /// Waits until nothing is in flight; its ledger then.
    pub async fn settled(&self) -> NodeLedger {
        self.until("nothing in flight", |ledger| ledger.total("in_flight") == 0).await
    }

    /// Waits until its ledger is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&NodeLedger) -> bool) -> NodeLedger {
        let mut last = NodeLedger::default();
        let waiting = eventually(what, SOON, async || {
            last = self.ledger().await;
            wanted(&last)
        });
        let waited = waiting.await;
        assert!(waited.is_ok(), "{waited:?}: {last}");
        last
    }

    /// Ends it by SIGTERM: its exit code and the ledger of its last words, which balances.
    pub async fn stop(&mut self) -> (Option<i32>, NodeLedger) {
        let status = self.process.terminate(SOON).await.unwrap();
        let ledger = NodeLedger::from_text(&self.process.stdout()).unwrap();
        ledger.balance().unwrap();
        (status.code(), ledger)
    }
}

// === impl Fleet ===

impl Fleet {
    pub fn nodes_mut(&mut self) -> impl Iterator<Item = &mut Node> {
        std::iter::once(&mut self.loadbalancer).chain(&mut self.samplers)
    }

    /// Ends all, the load balancer first; each with exit code 0. The samplers' ledgers.
    pub async fn stop(&mut self) -> Vec<NodeLedger> {
        let mut ledgers = Vec::new();
        for node in self.nodes_mut() {
            let (code, ledger) = node.stop().await;
            assert_eq!(code, Some(0), "{}", node.process.stderr());
            ledgers.push(ledger);
        }
        ledgers.split_off(1)
    }
}
