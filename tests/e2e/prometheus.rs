//! A real Prometheus that scrapes both tiers: what dashboards ask for is there, in both namings.

use crate::SOON;
use crate::fleet::{Node, Plan, Ports};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use tailgate_testkit::load::{Config, Load};
use tailgate_testkit::ports::Port;
use tailgate_testkit::process::{Process, Spec};
use tailgate_testkit::sink::Sink;
use tailgate_testkit::traffic::{Shape, Traffic};
use tailgate_testkit::wait::eventually;

const DASHBOARDS: &str = include_str!("dashboards.tsv");

/// Endings of names: of counters, of seconds, milliseconds and bytes.
const COLLECTOR: [(&str, &str); 4] = [("$t", ""), ("$s", ""), ("$ms", ""), ("$b", "")];
const PROMETHEUS: [(&str, &str); 4] =
    [("$t", "_total"), ("$s", "_seconds"), ("$ms", "_milliseconds"), ("$b", "_bytes")];

/// What `promtool check metrics` says about names that are the collector's.
const LINTS: [&str; 5] = [
    "counter metrics should have \"_total\" suffix",
    "use base unit \"seconds\" instead of",
    "non-histogram and non-summary metrics should not have \"_count\" suffix",
    "non-histogram and non-summary metrics should not have \"_sum\" suffix",
    "metric names should not contain abbreviated units",
];

/// A sampler and a load balancer before it that show all they have in this naming.
async fn fleet(sink: &Sink, naming: &str) -> [Node; 2] {
    let all = "{decision_wait: 500ms, policies: [{name: all, type: always_sample}]}";
    let plan = Plan { tail_sampling: Some(all.to_owned()), ..Plan::to_sink(sink) };
    let (front, behind) = (Ports::reserve(), Ports::reserve());
    let show_all = |text: String| {
        text.replace("level: normal", "level: detailed")
            + &format!("  telemetry: {{naming: {naming}}}\n")
    };
    let members = [("sampler-0".to_owned(), &behind)];
    let sampler = show_all(plan.sampler("sampler-0", &behind, &members));
    let loadbalancer = show_all(plan.loadbalancer(&front, &members));
    let mut nodes =
        [plan.start("sampler", behind, sampler), plan.start("loadbalancer", front, loadbalancer)];
    for node in &mut nodes {
        node.ready().await;
    }
    nodes
}

/// Scrapes each fleet as a job of this name.
async fn prometheus(jobs: &[(&str, &[Node; 2])], port: &Port) -> Process {
    let mut config = "global: {scrape_interval: 1s}\nscrape_configs:\n".to_owned();
    for (job, nodes) in jobs {
        let [a, b] = nodes.each_ref().map(|node| node.ports.metrics.addr());
        let targets = format!("static_configs: [{{targets: [\"{a}\", \"{b}\"]}}]");
        let _ = writeln!(config, "  - {{job_name: {job}, {targets}}}");
    }
    let spec = Spec::new("prometheus")
        .file("prometheus.yml", config)
        .arg("--config.file=prometheus.yml")
        .arg("--storage.tsdb.path=data")
        .arg(format!("--web.listen-address={}", port.addr()));
    let mut process = spec.start().expect("tests/setup.sh installs prometheus");
    let url = format!("http://{}/-/ready", port.addr());
    process.wait_http(&url, 200, SOON).await.unwrap();
    process
}

/// How many series the query has.
async fn series(port: &Port, query: &str) -> usize {
    let mut url = format!("http://{}/api/v1/query?query=", port.addr());
    for byte in query.bytes() {
        let _ = write!(url, "%{byte:02X}");
    }
    let (status, body) = tailgate_testkit::http::get(&url).await.unwrap();
    assert_eq!(status, 200, "{query}: {body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["data"]["result"].as_array().map_or(0, Vec::len)
}

/// The queries of all dashboards in one naming for a job, each with its panel.
fn queries(job: &str, endings: [(&str, &str); 4]) -> Vec<(String, String)> {
    let lines = DASHBOARDS.lines().filter(|line| !line.starts_with('#'));
    let columns = lines.map(|line| line.splitn(3, '\t').collect::<Vec<_>>());
    let filled = |columns: Vec<&str>| {
        let mut query = columns[2].replace("$job", job).replace("$i", "10s");
        for (variable, ending) in endings {
            query = query.replace(variable, ending);
        }
        assert!(!query.contains('$'), "{query}");
        (format!("{}, {}", columns[0], columns[1]), query)
    };
    columns.map(filled).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboards_have_data_in_both_namings() {
    let sink = Sink::local().await.unwrap();
    let mut fleets = [
        ("collector", fleet(&sink, "collector").await),
        ("prometheus", fleet(&sink, "prometheus").await),
    ];
    let port = Port::reserve().unwrap();
    let _prometheus = prometheus(&fleets.each_ref().map(|(job, nodes)| (*job, nodes)), &port).await;
    for (_, nodes) in &fleets {
        let shape = Shape { traces: 200, ..Shape::default() };
        let load = Load::start(Traffic::new(shape).unwrap(), Config::new(nodes[1].grpc())).unwrap();
        load.finish().await.unwrap();
        nodes[0].settled().await;
    }

    let all = [queries("collector", COLLECTOR), queries("prometheus", PROMETHEUS)].concat();
    assert!(all.len() > 120, "{}", all.len());
    let mut empty = Vec::new();
    let waited = eventually("data for all panels", SOON, async || {
        empty.clear();
        for (panel, query) in &all {
            if series(&port, query).await == 0 {
                empty.push(format!("{panel}: {query}"));
            }
        }
        empty.is_empty()
    });
    let waited = waited.await;
    assert!(waited.is_ok(), "no data:\n{}", empty.join("\n"));
    // Both tiers are behind it, and what went through is in it once it has been scraped.
    for (query, wanted) in [
        ("otelcol_process_uptime", 2),
        ("otelcol_process_uptime_seconds_total", 2),
        ("otelcol_exporter_sent_spans > 0", 2),
        ("otelcol_exporter_sent_spans_total > 0", 2),
        ("otelcol_processor_tail_sampling_sampling_trace_removal_age_count > 0", 1),
        ("otelcol_processor_tail_sampling_sampling_trace_removal_age_seconds_count > 0", 1),
    ] {
        let has = eventually(query, SOON, async || series(&port, query).await == wanted).await;
        assert!(has.is_ok(), "{query}: {} series", series(&port, query).await);
    }
    for node in fleets.iter_mut().flat_map(|(_, nodes)| nodes) {
        node.process.terminate(SOON).await.unwrap();
    }
}

/// The complaints of `promtool check metrics`; none of them is an error.
fn complaints(text: &str) -> Vec<String> {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tests/setup.sh installs promtool");
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // 3: nothing but lints.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{said}");
    said.lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn promtool_accepts_what_both_tiers_show() {
    let sink = Sink::local().await.unwrap();
    let mut nodes = fleet(&sink, "both").await;
    for node in &nodes {
        let url = format!("http://{}/metrics", node.ports.metrics.addr());
        let (_, text) = tailgate_testkit::http::get(&url).await.unwrap();
        let known = |line: &String| LINTS.iter().any(|lint| line.contains(lint));
        let unknown: Vec<String> =
            complaints(&text).into_iter().filter(|line| !known(line)).collect();
        assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    }
    // Broken text does not pass.
    assert!(std::panic::catch_unwind(|| complaints("a{b=c} 1\n")).is_err());
    for node in &mut nodes {
        node.process.terminate(SOON).await.unwrap();
    }
}
