//! Where credentials come from, and what happens when they end.

use super::plan;
use super::proxy::{Fate, XrayProxy};
use crate::SOON;
use crate::python::Moto;
use std::time::{Duration, Instant};
use tailgate_testkit::load::{self, Config};
use tailgate_testkit::traffic::Traffic;
use tailgate_testkit::wait::eventually;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// The environment variables of [`crate::fleet::tailgate`] are no credentials then.
pub const NO_KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", ""), ("AWS_SECRET_ACCESS_KEY", "")];
pub const FILES: [(&str, &str); 2] =
    [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")];

pub fn profile(key: &str) -> String {
    format!("[default]\naws_access_key_id = {key}\naws_secret_access_key = secret\n")
}

/// Calls with the old credentials meet this fate; everything is held until the file is rotated.
async fn rotated(fate: Fate) {
    let moto = Moto::start().await;
    let proxy = XrayProxy::start(moto.url()).await;
    proxy.script(move |call| if call.access_key == "OLD" { fate } else { Fate::Pass });
    let mut plan = plan(&proxy, ", local_mode: true");
    plan.env = NO_KEYS.iter().chain(&FILES).map(|(k, v)| (*k, (*v).to_owned())).collect();
    plan.files = vec![("credentials", profile("OLD"))];
    let mut node = plan.alone().await;
    let shape = super::shape(100);
    load::run(Traffic::new(shape.clone()).unwrap(), Config::new(node.grpc())).await.unwrap();
    let refused = async || proxy.judged().len() >= 4;
    eventually("calls with old credentials", SOON, refused).await.unwrap();
    assert_eq!(node.ledger().await.total("exported"), 0);
    std::fs::write(node.process.dir().join("credentials"), profile("NEW")).unwrap();
    let rotated = Instant::now();
    let accepted = async || proxy.judged().iter().any(|judged| judged.fate == Fate::Pass);
    eventually("a call with new credentials", SOON, accepted).await.unwrap();
    let time = rotated.elapsed();
    println!("resumed {time:?} after the rotation");
    assert!(time <= Duration::from_secs(15), "{time:?}");
    node.settled().await;
    let (code, ledger) = node.stop().await;
    assert_eq!((code, ledger.total("exported"), ledger.total("lost")), (Some(0), 1000, 0));
    assert_eq!(proxy.stored(&shape).await.len(), 1000);
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_credentials_hold_everything_until_the_file_is_rotated() {
    rotated(Fate::Expired).await;
}

/// As when sessions are revoked, or rights come with another role.
#[tokio::test(flavor = "multi_thread")]
async fn so_do_credentials_without_the_right() {
    rotated(Fate::Denied).await;
}

/// Who signs a call when the environment and files are these; STS is moto's.
async fn signs(
    more: &str,
    env: &[(&'static str, &str)],
    files: &[(&'static str, String)],
) -> String {
    let moto = Moto::start().await;
    let proxy = XrayProxy::start(moto.url()).await;
    let mut plan = plan(&proxy, more);
    let env = NO_KEYS.iter().chain(&FILES).chain(env);
    plan.env = env.map(|(key, value)| (*key, (*value).to_owned())).collect();
    plan.env.push(("AWS_ENDPOINT_URL_STS", moto.url()));
    plan.files = files.to_vec();
    let mut node = plan.alone().await;
    let traffic = Traffic::new(super::shape(1)).unwrap();
    load::run(traffic, Config::new(node.grpc())).await.unwrap();
    node.settled().await;
    let (code, _) = node.stop().await;
    assert_eq!(code, Some(0), "{}", node.process.stderr());
    proxy.judged()[0].call.access_key.clone()
}

pub const ROLE: &str = "arn:aws:iam::123456789012:role/tracing";

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_environment_first() {
    let keys = [("AWS_ACCESS_KEY_ID", "ENV"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    assert_eq!(signs("", &keys, &[("credentials", profile("FILE"))]).await, "ENV");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_named_profile() {
    let other = profile("FILE").replace("default", "other");
    let files = [("credentials", profile("WRONG") + &other)];
    assert_eq!(signs("", &[("AWS_PROFILE", "other")], &files).await, "FILE");
}

/// IAM roles for service accounts, as on EKS.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_a_web_identity() {
    for more in ["", ", local_mode: true"] {
        let env = [("AWS_WEB_IDENTITY_TOKEN_FILE", "token"), ("AWS_ROLE_ARN", ROLE)];
        let key = signs(more, &env, &[("token", "a.b.c".into())]).await;
        assert!(key.starts_with("ASIA"), "{key}");
    }
}

/// What gives credentials to a container, and to an instance; each under a key of its own.
async fn metadata() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    url
}

async fn answer(stream: TcpStream) -> Option<()> {
    let mut lines = BufReader::new(stream).lines();
    let mut head = vec![lines.next_line().await.ok()??];
    while !head.last()?.is_empty() {
        head.push(lines.next_line().await.ok()??.to_ascii_lowercase());
    }
    let has = |header: &str| head.iter().any(|line| line == header);
    let credentials = |key: &str| {
        format!(
            "{{\"Code\": \"Success\", \"AccessKeyId\": \"{key}\", \"SecretAccessKey\": \"secret\", \
             \"Token\": \"token\", \"Expiration\": \"2099-01-01T00:00:00Z\"}}"
        )
    };
    let role = "/latest/meta-data/iam/security-credentials/";
    let body = match head[0].split(' ').nth(1)? {
        "/task" if has("authorization: between-us") => credentials("CONTAINER"),
        "/latest/api/token" => "session".to_owned(),
        target if !has("x-aws-ec2-metadata-token: session") => panic!("{target}"),
        target if target == role => "tracing".to_owned(),
        target if target == format!("{role}tracing") => credentials("INSTANCE"),
        _ => String::new(),
    };
    let status = if body.is_empty() { "404 Not Found" } else { "200 OK" };
    let answer = format!(
        "HTTP/1.1 {status}\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    lines.get_mut().write_all(answer.as_bytes()).await.ok()
}

/// The role of a task on ECS, or of a pod with EKS Pod Identity.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_containers_endpoint() {
    let url = format!("{}/task", metadata().await);
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "between-us"),
    ];
    for more in ["", ", local_mode: true"] {
        assert_eq!(signs(more, &env, &[]).await, "CONTAINER");
    }
}

/// The profile of an EC2 instance, by IMDSv2.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_come_from_the_instance() {
    let url = metadata().await;
    let env =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*url)];
    assert_eq!(signs("", &env, &[]).await, "INSTANCE");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_with_an_external_id() {
    let more = format!(", role_arn: \"{ROLE}\", external_id: between-us");
    let key = signs(&more, &[], &[("credentials", profile("FILE"))]).await;
    assert!(key.starts_with("ASIA"), "{key}");
}
