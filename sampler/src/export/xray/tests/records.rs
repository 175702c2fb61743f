//! Telemetry records: what is told, when, and what becomes of it when nobody listens.

use aws_config::imds;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::export::xray::telemetry::{Origin, RecordClient, Reporter};

/// Takes records, or does not.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    deaf: bool,
    /// What each record of each call says was sent.
    calls: Vec<Vec<i32>>,
    tries: usize,
}

impl RecordClient for Ear {
    async fn put_records(&self, call: Bytes) -> Result<(), String> {
        let call: serde_json::Value = serde_json::from_slice(&call).unwrap();
        let records = call["TelemetryRecords"].as_array().unwrap();
        let mut heard = self.0.lock();
        heard.tries += 1;
        if heard.deaf {
            return Err("deaf".into());
        }
        let sent =
            |record: &serde_json::Value| record["SegmentsSentCount"].as_i64().unwrap() as i32;
        heard.calls.push(records.iter().map(sent).collect());
        Ok(())
    }
}

fn watch() -> XrayWatch {
    let clock = Arc::new(SystemClock::new());
    let pace = SendSettings::new(8, 2, &eager()).pace;
    XrayWatch { stats: Arc::default(), gate: Arc::new(Gate::new(pace, 0, clock)) }
}

fn reporter(ear: &Ear, watches: &[XrayWatch]) -> Reporter<Ear> {
    Reporter::new(ear.clone(), watches.to_vec(), Arc::new(SystemClock::new()))
}

#[tokio::test]
async fn a_record_tells_what_came_since_the_last_one() {
    let (ear, watches, origin) = (Ear::default(), [watch(), watch()], Origin::default());
    let mut reporter = reporter(&ear, &watches);
    reporter.round(&origin).await;
    assert_eq!(ear.0.lock().tries, 0, "there is nothing to tell");
    watches[0].stats.documents(40, 1, 2);
    watches[1].stats.documents(2, 0, 0);
    reporter.round(&origin).await;
    reporter.round(&origin).await;
    watches[1].stats.documents(5, 0, 0);
    reporter.round(&origin).await;
    assert_eq!(ear.0.lock().calls, [[42], [5]]);
}

#[tokio::test]
async fn unsent_records_are_kept_up_to_a_bound() {
    let (ear, watch, origin) = (Ear::default(), watch(), Origin::default());
    let mut reporter = reporter(&ear, std::slice::from_ref(&watch));
    ear.0.lock().deaf = true;
    for n in 1..=40 {
        watch.stats.documents(n, 0, 0);
        reporter.round(&origin).await;
    }
    assert_eq!(ear.0.lock().tries, 40, "one try a round");
    ear.0.lock().deaf = false;
    reporter.round(&origin).await;
    let calls = ear.0.lock().calls.clone();
    assert!(calls.iter().all(|call| call.len() == 10), "{calls:?}");
    assert_eq!(calls.concat(), (11..=40).collect::<Vec<_>>());
}

/// A first record after the time, not before; and then again and again, whatever came of it.
#[tokio::test]
async fn records_are_sent_at_intervals() {
    let (ear, watch) = (Ear::default(), watch());
    let reporter = reporter(&ear, std::slice::from_ref(&watch));
    watch.stats.documents(1, 0, 0);
    ear.0.lock().deaf = true;
    let (begin, every) = (Instant::now(), Duration::from_millis(50));
    let task = tokio::spawn(async move { reporter.run(&Origin::default(), every).await });
    until("a first try", || ear.0.lock().tries > 0).await;
    assert!(begin.elapsed() >= every);
    ear.0.lock().deaf = false;
    until("a record", || ear.0.lock().calls == [[1]]).await;
    watch.stats.documents(3, 0, 0);
    until("another record", || ear.0.lock().calls == [[1], [3]]).await;
    task.abort();
}

/// What runs beside the exporters ends with them.
#[tokio::test]
async fn the_task_ends_with_the_exporters() {
    let running = Arc::new(());
    let held = running.clone();
    let forever = async move {
        let _held = held;
        std::future::pending().await
    };
    let exports = Builder::new().beside(forever).start(Arc::new(SystemClock::new()));
    exports.drain(PATIENCE).await;
    assert_eq!(Arc::strong_count(&running), 1);
}

/// The exporter's counts, and records as X-Ray gets them.
#[tokio::test]
async fn failures_are_told_by_their_kind() {
    use Fault::{Busy, ExpiredToken, Reset, Slow, Throttle};
    let faults = [Throttle, Busy, Reset, ExpiredToken, Slow(TIMEOUT * 3), Fault::TooMany];
    let server = XrayServer::start(faults).await;
    let exporter = exporter(&server.url()).await;
    let (client, watches) = (exporter.client.clone(), vec![exporter.watch()]);
    let refused = kept(7, 5);
    server.poison(&refused, 2, "InvalidSegment");
    let exports = start("awsxray", exporter, 1);
    exports.offer(refused).unwrap();
    assert_eq!(send(&exports, 2).await.exported, 14);

    let origin =
        Origin { hostname: "host".into(), instance_id: "i-1".into(), resource_arn: "arn:a".into() };
    let mut reporter = Reporter::new(client, watches, Arc::new(SystemClock::new()));
    reporter.round(&origin).await;
    let [mut told] = server.records().try_into().unwrap();
    let time = told["TelemetryRecords"][0]["Timestamp"].take();
    assert!(time.as_f64().unwrap() > 1.7e9, "seconds: {time}");
    let want = serde_json::json!({
        "EC2InstanceId": "i-1", "Hostname": "host", "ResourceARN": "arn:a",
        "TelemetryRecords": [{
            "Timestamp": null,
            "SegmentsReceivedCount": 0, "SegmentsSentCount": 14,
            "SegmentsRejectedCount": 1, "SegmentsSpilloverCount": 0,
            "BackendConnectionErrors": {
                "HTTPCode4XXCount": 3, "HTTPCode5XXCount": 1, "ConnectionRefusedCount": 0,
                "TimeoutCount": 1, "UnknownHostCount": 0, "OtherCount": 1,
            },
        }],
    });
    assert_eq!(told, want);
}

#[tokio::test]
async fn a_refused_connection_is_told_as_such() {
    let exporter = exporter("http://127.0.0.1:1").await;
    let watch = exporter.watch();
    let exports = start("awsxray", exporter, 1);
    exports.offer(kept(1, 5)).unwrap();
    until("a failed call", || watch.read().failed > 0).await;
    let kind = CallError::ConnectionRefused as usize;
    until("its kind", || watch.read().errors[kind] > 0).await;
    assert_eq!(watch.read().errors[CallError::Other as usize], 0);
}

/// An instance's metadata, that answer with the last part of what is asked for.
async fn instance() -> imds::Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut lines = BufReader::new(stream).lines();
            let first = lines.next_line().await.unwrap().unwrap();
            while !lines.next_line().await.unwrap().unwrap().is_empty() {}
            let target = first.split(' ').nth(1).unwrap();
            let body = target.rsplit('/').next().unwrap();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nx-aws-ec2-metadata-token-ttl-seconds: 600\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            lines.get_mut().write_all(answer.as_bytes()).await.unwrap();
        }
    });
    imds::Client::builder().endpoint(url).unwrap().build()
}

#[tokio::test]
async fn who_reports() {
    let found = async |metadata, hostname: &str, env: &[(&str, &str)]| {
        let settings = OriginSettings {
            include_metadata: metadata,
            hostname: hostname.into(),
            instance_id: String::new(),
            resource_arn: "arn:a".into(),
        };
        let env = |name: &str| Some(env.iter().find(|(key, _)| *key == name)?.1.to_owned());
        let origin = Origin::find(settings, env, Some(instance().await)).await;
        (origin.hostname, origin.instance_id, origin.resource_arn)
    };
    let texts = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
    let env = [("AWS_HOSTNAME", "env"), ("AWS_INSTANCE_ID", "i-env")];
    let off = [("AWS_EC2_METADATA_DISABLED", "True")];
    assert_eq!(found(false, "given", &env).await, texts("", "", ""));
    assert_eq!(found(true, "given", &env).await, texts("given", "i-env", "arn:a"));
    assert_eq!(found(true, "", &env[..1]).await, texts("env", "instance-id", "arn:a"));
    assert_eq!(found(true, "", &[]).await, texts("hostname", "instance-id", "arn:a"));
    assert_eq!(found(true, "", &off).await, texts("", "", "arn:a"));
}
