//! `tailgate demo`, as a person runs it: by itself for a while, and ended by a signal.

use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::wait::eventually;

use crate::SOON;
use crate::fleet::tailgate;

fn demo() -> Spec {
    let free = ["--otlp-grpc-port", "--otlp-http-port", "--xray-port"];
    free.into_iter().fold(tailgate().arg("demo"), |spec, port| spec.arg(port).arg("0"))
}

/// Everything balances, and what the policies asked for is in X-Ray.
fn assert_balances(process: &Process, code: Option<i32>) {
    let (out, err) = (process.stdout(), process.stderr());
    assert_eq!(code, Some(0), "{out}\n{err}");
    assert_eq!(out.matches("ledger balanced").count(), 3, "{out}");
    assert!(!out.contains("NOT BALANCED"), "{out}");
    let exported = out.lines().filter(|line| line.contains("outcome=\"exported\""));
    let exported: u64 =
        exported.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert!(exported > 0, "{out}");
}

/// One after the other: both would rather have the usual ports for metrics and health.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_by_itself_or_by_a_signal_and_balances() {
    let mut process = demo().arg("--duration").arg("8s").start().unwrap();
    let code = process.wait_exit(2 * SOON).await.unwrap().code();
    assert_balances(&process, code);

    let mut process = demo().start().unwrap();
    // Lines of figures come once a second, when all is up; the first traces are decided after some seconds.
    let lines = async || process.stdout().lines().count() > 8;
    eventually("the demo shows figures", 2 * SOON, lines).await.unwrap();
    process.interrupt().unwrap();
    let code = process.wait_exit(2 * SOON).await.unwrap().code();
    assert_balances(&process, code);
}
