//! `tailgate demo`, as a person runs it: by itself for a while, and ended by a signal.

use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::wait::eventually;

use crate::SOON;
use crate::fleet::tailgate;
use crate::python;

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
    look_around(&process).await;
    process.interrupt().unwrap();
    let code = process.wait_exit(2 * SOON).await.unwrap().code();
    assert_balances(&process, code);
}

/// What a person sees with an AWS SDK: traces by filter, their documents, the graph of services.
async fn look_around(process: &Process) {
    let out = process.stdout();
    let url = out.lines().find_map(|line| line.trim().strip_prefix("X-Ray    ")).unwrap();
    let url = url.split(' ').next().unwrap().to_owned();
    let mut seen = serde_json::Value::Null;
    let edges = [["client", "frontend"], ["frontend", "checkout"], ["checkout", "payment"]];
    let enough = async || {
        seen = python::run("look.py", &[&url], &[]).await;
        let drawn = seen["edges"].as_array().unwrap();
        let all = edges.iter().all(|edge| drawn.contains(&serde_json::json!(edge)));
        let found = |filter: &str| seen["found"][filter].as_u64() > Some(0);
        let kinds = ["fault", "NOT fault", "responsetime <= 1"].into_iter().all(found);
        all && seen["whole"].as_u64() > Some(0) && kinds
    };
    eventually("traces of all kinds are stored", 2 * SOON, enough).await.unwrap();
    let found = |filter: &str| seen["found"][filter].as_u64().unwrap();
    assert!(found("") >= seen["all"].as_u64().unwrap(), "{seen}");
    assert!(found("fault") < found(""), "{seen}");
    assert!(found("responsetime > 1") < found(""), "{seen}");
    assert_eq!(found("annotation.shop_story = \"no such story\""), 0);
    assert_eq!(seen["faults_are_faults"], true, "{seen}");
    assert!(seen["refused"].as_str().unwrap().contains("\"falt\" is not known"), "{seen}");
    assert_eq!(seen["types"]["client"], "client", "{seen}");
}
