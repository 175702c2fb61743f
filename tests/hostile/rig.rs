//! A load balancer before a sampler, both open to the attackers, and what they use.

use crate::SOON;
use crate::fleet::{Node, Plan, Ports, tailgate};
use std::net::SocketAddr;
use std::time::Duration;
use tailgate_testkit::ports::Port;
use tailgate_testkit::sink::Sink;
use tailgate_testkit::traffic::SERVICES;
use tokio::sync::{Mutex, MutexGuard};

/// One test at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// `memory_limiter.limit_mib` of both, and `spike_limit_mib`.
const LIMIT_MIB: u64 = 256;
const SPIKE_MIB: u64 = 32;
/// A process that holds nothing: code, runtime, allocator, connections to the other tier.
const BASE: u64 = 40 << 20;
/// What an open connection costs at most outside of the budgets: one read ahead of 64 KiB, heads
/// of 16 KiB, the frames' buffers.
const CONNECTION: u64 = 128 << 10;
/// Connections of the attackers at once, at most, to each node.
pub const CONNECTIONS: u64 = 500;

/// The running nodes.
pub struct Rig {
    pub front: Node,
    pub sampler: Node,
    pub sink: Sink,
    /// A second gRPC receiver of the load balancer, which wants TLS.
    pub tls: Port,
    _turn: MutexGuard<'static, ()>,
}

/// Where a node takes OTLP.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub grpc: SocketAddr,
    pub http: SocketAddr,
}

/// The sum of a node's stated caps, in bytes: docs/THREATS.md has the formula.
pub fn cap(sampler: bool) -> u64 {
    let limit = (LIMIT_MIB - SPIKE_MIB) << 20;
    let share = |percent: u64| limit / 100 * percent;
    let incoming = share(10).max(64 << 20);
    let shares = match sampler {
        true => share(65) + share(15) + 2 * incoming,
        false => share(65) + incoming,
    };
    shares + BASE + CONNECTIONS * CONNECTION
}

impl Rig {
    /// Starts both; waits for its turn first.
    pub async fn start() -> Self {
        let turn = TURN.lock().await;
        let sink = Sink::local().await.unwrap();
        // The good client's traces are kept, and nobody else's.
        let tail_sampling = format!(
            "{{decision_wait: 500ms, policies: [{{name: good, type: string_attribute, \
             string_attribute: {{key: service.name, values: [{}]}}}}]}}",
            SERVICES.join(", ")
        );
        let plan = Plan {
            limit_mib: LIMIT_MIB as u32,
            tail_sampling: Some(tail_sampling),
            ..Plan::to_sink(&sink)
        };
        let (own, front, tls) = (Ports::reserve(), Ports::reserve(), Port::reserve().unwrap());
        let members = [("sampler-0".to_owned(), &own)];
        let sampler = plan.sampler("sampler-0", &own, &members);
        let balancer = plan.loadbalancer(&front, &members);
        let sampler = plan.start("sampler", own, sampler);
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let secure = format!(
            "receivers.otlp/tls={{protocols: {{grpc: {{endpoint: \"{}\", \
             tls: {{cert_file: cert.pem, key_file: key.pem}}}}}}}}",
            tls.addr()
        );
        let limits = format!(
            "processors.memory_limiter={{check_interval: 1s, limit_mib: {LIMIT_MIB}, \
             spike_limit_mib: {SPIKE_MIB}}}"
        );
        let settings = [
            secure.as_str(),
            limits.as_str(),
            "service.pipelines.traces.receivers=[otlp, otlp/tls]",
            "service.pipelines.traces.processors=[memory_limiter]",
        ];
        let spec = tailgate().arg("loadbalancer").config(balancer);
        let spec = spec.file("cert.pem", certificate.pem()).file("key.pem", key.serialize_pem());
        let spec = settings.iter().fold(spec, |spec, setting| spec.arg("--set").arg(*setting));
        let front = Node { process: spec.start().unwrap(), ports: front };
        let mut rig = Rig { front, sampler, sink, tls, _turn: turn };
        for node in [&mut rig.sampler, &mut rig.front] {
            node.ready().await;
        }
        rig
    }

    /// Both nodes.
    pub fn nodes(&self) -> [(&'static str, &Node); 2] {
        [("load balancer", &self.front), ("sampler", &self.sampler)]
    }

    /// Checks that both processes are those that were started and never panicked, then ends them;
    /// nothing was lost.
    pub async fn end(mut self) {
        for node in [&mut self.front, &mut self.sampler] {
            let (code, ledger) = node.stop().await;
            let log = node.process.stderr();
            assert!(!log.contains("panicked"), "{log}");
            assert_eq!((code, ledger.total("lost")), (Some(0), 0), "{log}");
        }
    }
}

impl Target {
    pub fn of(node: &Node) -> Self {
        Target { grpc: node.ports.grpc.addr(), http: node.ports.http.addr() }
    }

    pub fn grpc_url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    pub fn http_url(&self) -> String {
        format!("http://{}", self.http)
    }
}

/// The resident bytes of a node now, at the end of what is under way.
pub fn rss(node: &Node) -> u64 {
    node.process.usage().unwrap().rss
}

/// How far above `before` a node gets while `attack` runs, in bytes.
pub async fn growth(node: &Node, before: u64, attack: impl Future<Output = ()>) -> u64 {
    let most = std::cell::Cell::new(0);
    let watch = async {
        loop {
            most.set(most.get().max(rss(node).saturating_sub(before)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = watch => {}
        ended = tokio::time::timeout(SOON * 2, attack) => ended.unwrap(),
    }
    most.get()
}
