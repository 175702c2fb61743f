#![allow(clippy::unwrap_used)]

use super::*;
use crate::ports::Port;
use std::os::unix::process::ExitStatusExt as _;

const DEADLINE: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Spec {
    Spec::new("/bin/sh").arg("-c").arg(script)
}

#[tokio::test]
async fn it_has_its_files_variables_and_outputs() {
    let script = "cat config.yaml; echo $WHO >&2; exit 3";
    let spec = shell(script).env("WHO", "me").config("a: 1\n");
    let mut process = spec.start().unwrap();
    let status = process.wait_exit(DEADLINE).await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert_eq!((process.stdout().as_str(), process.stderr().as_str()), ("a: 1\n", "me\n"));
}

#[tokio::test]
async fn signals_and_usage() {
    let mut process = shell("while :; do :; done").start().unwrap();
    let busy = async || process.usage().unwrap().cpu >= Duration::from_millis(50);
    eventually("CPU time", DEADLINE, busy).await.unwrap();
    assert!(process.usage().unwrap().rss > 100_000);
    process.pause().unwrap();
    let stat = format!("/proc/{}/stat", process.pid());
    let stopped = async || fs::read_to_string(&stat).unwrap().contains(") T ");
    eventually("a stop", DEADLINE, stopped).await.unwrap();
    process.resume().unwrap();
    let status = process.terminate(DEADLINE).await.unwrap();
    assert_eq!(status.signal(), Some(15));
}

#[tokio::test]
async fn an_early_end_is_told_with_its_output_and_a_drop_kills() {
    let port = Port::reserve().unwrap();
    let mut process = shell("echo no such key >&2; exit 78").start().unwrap();
    let error = process.wait_port(port.addr(), DEADLINE).await.unwrap_err();
    let told = format!("{error:#}");
    assert!(told.contains("exit status: 78") && told.contains("no such key"), "{told}");

    let process = shell("sleep 1000").start().unwrap();
    let proc = format!("/proc/{}", process.pid());
    assert!(fs::exists(&proc).unwrap());
    drop(process);
    assert!(!fs::exists(&proc).unwrap());
}
