//! What settings of the exporter do, seen from outside.

use super::proxy::{Fate, XrayProxy};
use super::{plan, shape};
use crate::SOON;
use crate::fleet::{Node, Plan};
use crate::python::Moto;
use crate::tls::Authority;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;
use tailgate_testkit::load::{self, Config};
use tailgate_testkit::traffic::Traffic;
use tailgate_testkit::wait::eventually;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

async fn send(node: &Node, traces: u64) {
    let traffic = Traffic::new(shape(traces)).unwrap();
    load::run(traffic, Config::new(node.grpc())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_workers_make_so_many_calls_at_a_time() {
    let moto = Moto::start().await;
    for workers in [1, 3] {
        let proxy = XrayProxy::start(moto.url()).await;
        proxy.script(|_| Fate::Slow(Duration::from_millis(200)));
        // A batch is one call, and there are more batches at a time than workers.
        let batch = "sending_queue: {batch: {min_size: 50, max_size: 50, flush_timeout: 200ms}}";
        // 0 seconds: not at once, but the longest.
        let more = format!(", num_workers: {workers}, request_timeout_seconds: 0, {batch}");
        let mut node = plan(&proxy, &more).alone().await;
        send(&node, 100).await;
        node.settled().await;
        let (code, ledger) = node.stop().await;
        assert_eq!((code, ledger.total("exported")), (Some(0), 1_000));
        assert_eq!(proxy.busiest(), workers);
    }
}

/// All attempts count, the first included.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_tried_so_often() {
    let proxy = XrayProxy::start(String::new()).await;
    proxy.script(|_| Fate::Unavailable);
    let mut before = 0;
    for (max_retries, attempts) in [(1, 1), (4, 4), (0, 3)] {
        let retry = "{enabled: false, initial_interval: 10ms, max_interval: 20ms}";
        let settings = format!(
            "{{region: us-east-1, endpoint: \"{}\", max_retries: {max_retries}, \
             retry_on_failure: {retry}}}",
            proxy.url()
        );
        let mut node = Plan { exporter: ("awsxray", settings), ..plan(&proxy, "") }.alone().await;
        send(&node, 1).await;
        node.settled().await;
        let (_, ledger) = node.stop().await;
        assert_eq!(ledger.reasons("lost"), [("retries_exhausted", 10)].into());
        let calls = proxy.judged().len();
        assert_eq!(calls - before, attempts, "max_retries: {max_retries}");
        before = calls;
    }
}

/// An endpoint whose certificate nobody vouches for.
async fn tls_front(target: SocketAddr) -> SocketAddr {
    let (certificate, key) = Authority::new().identity();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut tls = acceptor.accept(stream).await?;
                let mut plain = TcpStream::connect(target).await?;
                tokio::io::copy_bidirectional(&mut tls, &mut plain).await
            });
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_nobody_vouches_for_is_taken_only_if_told_so() {
    let moto = Moto::start().await;
    let proxy = XrayProxy::start(moto.url()).await;
    let endpoint = format!("https://{}", tls_front(proxy.addr()).await);
    let start = async |verify: &str| {
        let settings = format!("{{region: us-east-1, endpoint: \"{endpoint}\"{verify}}}");
        Plan { exporter: ("awsxray", settings), ..plan(&proxy, "") }.alone().await
    };
    let strict = start("").await;
    send(&strict, 1).await;
    failed_calls(&strict, 2).await;
    assert_eq!(strict.ledger().await.total("in_flight"), 10, "held, not lost");
    assert_eq!(proxy.judged().len(), 0);
    let mut trusting = start(", no_verify_ssl: true").await;
    send(&trusting, 1).await;
    trusting.settled().await;
    assert_eq!(trusting.stop().await.1.total("exported"), 10);
    assert_eq!(proxy.stored(&shape(1)).await.len(), 10);
}

async fn failed_calls(node: &Node, wanted: u64) {
    eventually("calls that fail", SOON, async || {
        let calls = node.metrics().await.sum("tailgate_xray_calls", &[("outcome", "failed")]);
        calls.unwrap() >= wanted as f64
    })
    .await
    .unwrap();
}

/// Credentials are nowhere, so EC2 metadata is asked for them, but not with `local_mode`.
#[tokio::test(flavor = "multi_thread")]
async fn in_local_mode_instance_metadata_is_not_asked() {
    for (more, asked) in [(", local_mode: true", false), ("", true)] {
        let proxy = XrayProxy::start(String::new()).await;
        let metadata = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", metadata.local_addr().unwrap());
        let asks = Arc::new(AtomicUsize::new(0));
        let counting = asks.clone();
        let server = tokio::spawn(async move {
            while metadata.accept().await.is_ok() {
                counting.fetch_add(1, SeqCst);
            }
        });
        let mut plan = plan(&proxy, more);
        let none = super::credentials::NO_KEYS.iter().chain(&super::credentials::FILES);
        plan.env = none.map(|(key, value)| (*key, (*value).to_owned())).collect();
        plan.env.push(("AWS_EC2_METADATA_DISABLED", "false".to_owned()));
        plan.env.push(("AWS_EC2_METADATA_SERVICE_ENDPOINT", url));
        let node = plan.alone().await;
        send(&node, 1).await;
        failed_calls(&node, 2).await;
        assert_eq!(asks.load(SeqCst) > 0, asked, "{more}");
        assert_eq!((proxy.judged().len(), node.ledger().await.total("in_flight")), (0, 10));
        server.abort();
    }
}
