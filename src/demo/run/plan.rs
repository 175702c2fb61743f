//! What the demo starts: ports, files and the configuration of three processes.

use super::children::Child;
use super::{Options, Ports};
use crate::demo::xray;
use anyhow::{Context, bail};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

/// Ports, names and files of the processes; all ports are on 127.0.0.1.
pub(super) struct Plan {
    pub(super) ports: Ports,
    pub(super) loadbalancer: Node,
    pub(super) samplers: Vec<Node>,
    secret: String,
    dir: Dir,
    xray_listener: std::cell::Cell<Option<TcpListener>>,
}

/// Ports and name of one process.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) metrics_port: u16,
    health_port: u16,
    /// Samplers: where the load balancer delivers.
    internal_port: u16,
    /// Samplers: plain OTLP, for whoever wants to go past the load balancer.
    otlp_port: u16,
}

enum Dir {
    Given(PathBuf),
    /// Removed at the end.
    Temporary(tempfile::TempDir),
}

/// Ports that are bound until all are chosen, so that none is chosen twice.
#[derive(Default)]
struct Reserved(Vec<TcpListener>);

const SAMPLERS: u16 = 2;

// === impl Plan ===

impl Plan {
    /// Chooses ports and a directory.
    ///
    /// # Errors
    /// A port in `options` that is in use, or a directory that can't be made.
    pub(super) fn new(options: &Options) -> anyhow::Result<Plan> {
        let mut reserved = Reserved::default();
        let asked = options.ports;
        let xray_listener = bind(asked.xray_port, "the X-Ray endpoint", "--xray-port")?;
        let ports = Ports {
            otlp_grpc_port: reserved.exactly(
                asked.otlp_grpc_port,
                "OTLP/gRPC",
                "--otlp-grpc-port",
            )?,
            otlp_http_port: reserved.exactly(
                asked.otlp_http_port,
                "OTLP/HTTP",
                "--otlp-http-port",
            )?,
            xray_port: xray_listener.local_addr()?.port(),
        };
        let loadbalancer = Node::choose("loadbalancer".into(), 0, &mut reserved)?;
        let samplers = (0..SAMPLERS)
            .map(|n| Node::choose(format!("sampler-{n}"), n + 1, &mut reserved))
            .collect::<anyhow::Result<_>>()?;
        let dir = match &options.dir {
            Some(dir) => {
                std::fs::create_dir_all(dir)
                    .with_context(|| format!("can't make {}", dir.display()))?;
                Dir::Given(dir.clone())
            }
            None => Dir::Temporary(tempfile::Builder::new().prefix("tailgate-demo-").tempdir()?),
        };
        Ok(Plan {
            ports,
            loadbalancer,
            samplers,
            secret: format!("{:016x}{:016x}", random(), random()),
            dir,
            xray_listener: std::cell::Cell::new(Some(xray_listener)),
        })
    }

    /// The bound socket of the X-Ray endpoint; once.
    pub(super) fn take_xray_listener(&self) -> anyhow::Result<tokio::net::TcpListener> {
        let listener = self.xray_listener.take().context("the X-Ray socket is taken")?;
        listener.set_nonblocking(true)?;
        Ok(tokio::net::TcpListener::from_std(listener)?)
    }

    /// Writes the files and starts the load balancer and the samplers, in this order.
    pub(super) fn start(&self) -> anyhow::Result<Vec<Child>> {
        let program = std::env::current_exe().context("can't tell which program this is")?;
        let mut fleet =
            vec![self.child(&program, "loadbalancer", &self.loadbalancer, self.loadbalancer())?];
        for node in &self.samplers {
            fleet.push(self.child(&program, "sampler", node, self.sampler(node))?);
        }
        Ok(fleet)
    }

    pub(super) fn otlp_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.otlp_grpc_port)
    }

    pub(super) fn greeting(&self, xray: &xray::Handle) -> String {
        let url = xray.url();
        let Ports { otlp_grpc_port, otlp_http_port, .. } = self.ports;
        let dir = self.dir.path().display();
        let metrics = self.nodes().map(|n| format!("{} :{}", n.name, n.metrics_port));
        let metrics = metrics.collect::<Vec<_>>().join(", ");
        format!(
            "Tailgate demo: a load balancer and two samplers\n\
             \x20 OTLP     127.0.0.1:{otlp_grpc_port} (gRPC), 127.0.0.1:{otlp_http_port} (HTTP)\n\
             \x20 X-Ray    {url} (any AWS SDK with this endpoint URL, region us-east-1)\n\
             \x20 metrics  {metrics}\n\
             \x20 files    {dir}\n\
             Ctrl-C drains everything and prints the ledger.\n"
        )
    }

    /// The load balancer, then the samplers.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        std::iter::once(&self.loadbalancer).chain(&self.samplers)
    }

    fn child(
        &self,
        program: &Path,
        role: &str,
        node: &Node,
        config: String,
    ) -> anyhow::Result<Child> {
        let file = self.dir.path().join(format!("{}.yaml", node.name));
        std::fs::write(&file, config).with_context(|| format!("can't write {}", file.display()))?;
        let log = self.dir.path().join(format!("{}.log", node.name));
        Child::start(program, role, &node.name, node.health_port, (&file, log))
    }

    fn loadbalancer(&self) -> String {
        let Ports { otlp_grpc_port, otlp_http_port, .. } = self.ports;
        format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: \"127.0.0.1:{otlp_grpc_port}\"}}
      http: {{endpoint: \"127.0.0.1:{otlp_http_port}\"}}
exporters:
  load_balancing:
    routing_key: traceID
{}{}",
            service(&self.loadbalancer, "", "load_balancing"),
            self.tailgate(&self.loadbalancer, false),
        )
    }

    fn sampler(&self, node: &Node) -> String {
        format!(
            "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: \"127.0.0.1:{}\"}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 512, spike_limit_mib: 128}}
  tail_sampling:
{POLICIES}exporters:
  awsxray:
    region: us-east-1
    endpoint: http://127.0.0.1:{}
    indexed_attributes: [app.customer.tier, app.order.total]
{}{}",
            node.otlp_port,
            self.ports.xray_port,
            service(node, "memory_limiter, tail_sampling", "awsxray"),
            self.tailgate(node, true),
        )
    }

    fn tailgate(&self, node: &Node, listens: bool) -> String {
        let endpoint = match listens {
            true => format!("endpoint: \"127.0.0.1:{}\", ", node.internal_port),
            false => String::new(),
        };
        let mut text = format!(
            "tailgate:
  instance: {}
  internal: {{{endpoint}secret: {}}}
  members:
",
            node.name, self.secret,
        );
        for member in &self.samplers {
            let Node { name, internal_port, .. } = member;
            let line = format!("    - {{name: {name}, endpoint: \"127.0.0.1:{internal_port}\"}}\n");
            text.push_str(&line);
        }
        text
    }
}

/// Keeps what a person would look for in the shop's traffic.
const POLICIES: &str = "    decision_wait: 5s
    policies:
      - name: errors
        type: status_code
        status_code: {status_codes: [ERROR]}
      - name: slow
        type: latency
        latency: {threshold_ms: 1000}
      - name: gold-orders
        type: and
        and:
          and_sub_policy:
            - name: gold
              type: string_attribute
              string_attribute: {key: app.customer.tier, values: [gold]}
            - name: large
              type: numeric_attribute
              numeric_attribute: {key: app.order.total, min_value: 200, max_value: 1000000}
      - name: base
        type: probabilistic
        probabilistic: {sampling_percentage: 5}
";

fn service(node: &Node, processors: &str, exporter: &str) -> String {
    let Node { health_port, metrics_port, .. } = node;
    format!(
        "extensions:
  health_check: {{endpoint: \"127.0.0.1:{health_port}\"}}
service:
  extensions: [health_check]
  telemetry:
    metrics:
      level: normal
      readers:
        - pull:
            exporter:
              prometheus: {{host: 127.0.0.1, port: {metrics_port}}}
  pipelines:
    traces:
      receivers: [otlp]
      processors: [{processors}]
      exporters: [{exporter}]
"
    )
}

/// A random number, from the seed that the standard library's hash maps get.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn bind(port: u16, what: &str, flag: &str) -> anyhow::Result<TcpListener> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == ErrorKind::AddrInUse => bail!(
            "port {port} for {what} is in use on 127.0.0.1: stop the program that listens there \
             (`ss -ltnp 'sport = :{port}'` names it), or choose another port with {flag} PORT"
        ),
        Err(error) => Err(error).with_context(|| format!("port {port} for {what}")),
    }
}

// === impl Node ===

impl Node {
    fn choose(name: String, n: u16, reserved: &mut Reserved) -> anyhow::Result<Node> {
        let mut node = Node {
            name,
            metrics_port: reserved.rather(8888 + n)?,
            health_port: reserved.rather(13133 + n)?,
            internal_port: 0,
            otlp_port: 0,
        };
        // The first is the load balancer, which has neither.
        if n > 0 {
            node.internal_port = reserved.rather(4318 + n)?;
            node.otlp_port = reserved.rather(14316 + n)?;
        }
        Ok(node)
    }
}

// === impl Dir ===

impl Dir {
    fn path(&self) -> &Path {
        match self {
            Dir::Given(path) => path,
            Dir::Temporary(dir) => dir.path(),
        }
    }
}

// === impl Reserved ===

impl Reserved {
    /// This port (0: a free one), or a message that says what to do.
    fn exactly(&mut self, port: u16, what: &str, flag: &str) -> anyhow::Result<u16> {
        self.keep(bind(port, what, flag)?)
    }

    /// This port if it is free, else another: nobody has to know it before the start.
    fn rather(&mut self, port: u16) -> anyhow::Result<u16> {
        let here = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        self.keep(here(port).or_else(|_| here(0)).context("no free port")?)
    }

    fn keep(&mut self, listener: TcpListener) -> anyhow::Result<u16> {
        let port = listener.local_addr()?.port();
        self.0.push(listener);
        Ok(port)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tailgate_common::config::Input;
    use tailgate_loadbalancer::config::LoadBalancerConfig;
    use tailgate_sampler::config::SamplerConfig;

    #[test]
    fn a_port_in_use_is_named_with_the_remedy() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = Ports { otlp_http_port: port, ..Ports::free() };
        let error = Plan::new(&Options { ports, ..Options::default() }).err().unwrap().to_string();
        assert!(error.contains(&format!("port {port} for OTLP/HTTP is in use")), "{error}");
        assert!(error.contains("--otlp-http-port"), "{error}");
    }

    #[test]
    fn no_port_is_chosen_twice() {
        let options = Options { ports: Ports::free(), ..Options::default() };
        let plan = Plan::new(&options).unwrap();
        let mut ports =
            vec![plan.ports.otlp_grpc_port, plan.ports.otlp_http_port, plan.ports.xray_port];
        for node in plan.nodes() {
            ports.extend([node.metrics_port, node.health_port]);
        }
        for node in &plan.samplers {
            ports.extend([node.internal_port, node.otlp_port]);
        }
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!((ports.len(), ports.contains(&0)), (all, false));
    }

    #[test]
    fn the_tiers_take_the_configurations() {
        let options = Options { ports: Ports::free(), ..Options::default() };
        let plan = Plan::new(&options).unwrap();
        let read = |text: &str| Input::parse("demo.yaml", text, &|_| None).unwrap();
        let (front, _) = LoadBalancerConfig::from_input(&read(&plan.loadbalancer())).unwrap();
        assert_eq!(front.shared.tailgate.members.len(), 2);
        for node in &plan.samplers {
            let text = plan.sampler(node);
            let (sampler, notes) = SamplerConfig::from_input(&read(&text)).unwrap();
            assert_eq!(sampler.shared.tailgate.instance, node.name);
            assert!(notes.is_empty(), "{notes:?}");
        }
    }
}
