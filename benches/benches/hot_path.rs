//! The steps of the data path, each alone. Figures are per request: `elements` are spans.
#![allow(clippy::unwrap_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use tailgate_common::clock::Nanos;
use tailgate_common::limit::ByteBudget;
use tailgate_common::ownership::Table;
use tailgate_policy::{Facts, Options, PolicyConfig, Program, Rule, Tally};
use tailgate_proto::view::resource_spans;
use tailgate_proto::{Limits, Scan, TraceId, scan, splice};
use tailgate_sampler::core::buffer::Buffer;
use tailgate_sampler::core::outbox::Kept;
use tailgate_sampler::core::shard::{Outlet, Role, Settings};
use tailgate_testkit::traffic::{Shape, Traffic};

const SPANS: u64 = 60;

/// The policies of the configuration that the peers are compared with.
fn program() -> Arc<Program> {
    let named = |name: &str, rule| PolicyConfig { name: name.to_owned(), rule };
    let service = Rule::StringAttribute {
        key: "service.name".to_owned(),
        values: vec!["checkout".to_owned()],
        enabled_regex_matching: false,
        cache_max_size: 0,
        invert_match: false,
    };
    let codes = Rule::NumericAttribute {
        key: "http.response.status_code".to_owned(),
        min_value: 500,
        max_value: 599,
        invert_match: false,
    };
    let policies = [
        named("errors", Rule::StatusCode { status_codes: vec!["ERROR".to_owned()] }),
        named("slow", Rule::Latency { threshold_ms: 5000, upper_threshold_ms: 0 }),
        named(
            "checkout",
            Rule::And { sub_policies: vec![named("svc", service), named("codes", codes)] },
        ),
        named("base", Rule::Probabilistic { hash_salt: String::new(), sampling_percentage: 1.0 }),
    ];
    Arc::new(Program::compile(&policies, Options::default()).unwrap())
}

fn requests(count: u64) -> Vec<Vec<u8>> {
    let shape = Shape { spans_per_request: SPANS as u32, traces: 10_000, ..Shape::default() };
    let traffic = Traffic::new(shape).unwrap();
    let encode = |seq| {
        let mut out = Vec::new();
        traffic.encode(seq, &mut out);
        out
    };
    (0..count.min(traffic.requests())).map(encode).collect()
}

fn scanned(request: &[u8]) -> Scan {
    let mut out = Scan::default();
    scan(request, &Limits::default(), &mut out).unwrap();
    out
}

fn wire(c: &mut Criterion) {
    let request = requests(1).remove(0);
    let found = scanned(&request);
    let table = Table::new(&["sampler-0", "sampler-1"]);
    let mut group = c.benchmark_group("wire");
    group.throughput(Throughput::Elements(SPANS));
    let mut out = Scan::default();
    group.bench_function("scan", |b| {
        b.iter(|| scan(black_box(&request), &Limits::default(), &mut out).unwrap());
    });
    group.bench_function("scan trusted", |b| {
        b.iter(|| scan(black_box(&request), &Limits::trusted(), &mut out).unwrap());
    });
    let mut parts = [Vec::new(), Vec::new()];
    group.bench_function("route", |b| {
        b.iter(|| {
            parts.iter_mut().for_each(Vec::clear);
            for (index, span) in black_box(&found).spans().iter().enumerate() {
                let owner = table.owner(span.trace_id.slot()).unwrap();
                parts[usize::from(owner)].push(index as u32);
            }
        });
    });
    let mut fragment = Vec::new();
    group.bench_function("splice", |b| {
        b.iter(|| {
            for part in &parts {
                fragment.clear();
                splice(black_box(&request), &found, part, &mut fragment);
            }
        });
    });
    group.finish();
}

fn policy(c: &mut Criterion) {
    let request = requests(1).remove(0);
    let program = program();
    let mut group = c.benchmark_group("policy");
    group.throughput(Throughput::Elements(SPANS));
    group.bench_function("fold", |b| {
        b.iter(|| {
            let mut facts = program.new_facts();
            for resource in resource_spans(black_box(&request)) {
                program.fold_resource(resource.resource().attributes(), &mut facts);
                for span in resource.scopes().flat_map(|scope| scope.spans()) {
                    program.fold_span(span, &mut facts);
                }
            }
            facts
        });
    });
    let due: Vec<(TraceId, Facts)> =
        (0..SPANS).map(|i| (TraceId([i as u8; 16]), program.new_facts())).collect();
    let (mut tally, mut out) = (Tally::default(), Vec::new());
    group.bench_function("finish", |b| {
        b.iter(|| {
            out.clear();
            program.finish(black_box(&due), &mut tally, &mut out);
        });
    });
    group.finish();
}

struct Nowhere;

impl Outlet for Nowhere {
    fn has_room(&self) -> bool {
        true
    }

    fn offer(&self, _: Nanos, _: Kept) -> Result<(), Kept> {
        Ok(())
    }
}

fn buffer(c: &mut Criterion) {
    const REQUESTS: u64 = 500;
    let requests = requests(REQUESTS);
    let settings = Settings { decision_wait: Duration::from_secs(10), ..Settings::default() };
    let program = program();
    let mut group = c.benchmark_group("buffer");
    group.throughput(Throughput::Elements(SPANS * requests.len() as u64));
    group.sample_size(20);
    let empty = || Buffer::new(&settings, &program, &ByteBudget::new(4 << 30));
    group.bench_function("insert", |b| {
        let insert = |buffer: Buffer| {
            for request in &requests {
                let limits = Limits::default();
                buffer.arrive(Nanos(1), Role::Owner, request, &limits, &Nowhere).unwrap();
            }
            buffer
        };
        b.iter_batched(empty, insert, BatchSize::PerIteration);
    });
    group.finish();
}

criterion_group!(benches, wire, policy, buffer);
criterion_main!(benches);
