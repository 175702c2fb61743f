//! Spans to X-Ray documents: the mix of the golden cases, and requests of 60 spans as the load
//! generator sends them. `elements` are documents.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::hint::black_box;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tailgate_proto::json::read_json;
use tailgate_testkit::traffic::{Shape, Traffic};
use tailgate_xray::{Conventions, Documents, Options, Translator};

/// All requests of the corpus.
fn corpus() -> Vec<Vec<u8>> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sampler/xray/tests/corpus");
    let inputs = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path().join("input.json"));
    let mut inputs: Vec<_> = inputs.filter(|path| path.exists()).collect();
    inputs.sort();
    inputs.iter().map(|path| read_json(&fs::read(path).unwrap()).unwrap()).collect()
}

/// Requests as those of `benches/compare.py`.
fn load() -> Vec<Vec<u8>> {
    let shape = Shape { spans_per_request: 60, traces: 100, ..Shape::default() };
    let traffic = Traffic::new(shape).unwrap();
    let encode = |seq| {
        let mut out = Vec::new();
        traffic.encode(seq, &mut out);
        out
    };
    (0..traffic.requests()).map(encode).collect()
}

fn xray(c: &mut Criterion) {
    let (corpus, load) = (corpus(), load());
    let mut documents = Documents::default();
    let mut translate = |translator: &Translator, requests: &[Vec<u8>]| {
        documents.clear();
        let mut id = 0_u64;
        let mut invent = || {
            id += 1;
            id
        };
        for request in requests {
            translator.translate(black_box(request), &mut invent, 1_700_000_000, &mut documents);
        }
        documents.len() as u64
    };
    let indexed = Options {
        indexed_attributes: vec!["http.method".into(), "otel.resource.service.name".into()],
        ..Options::default()
    };
    let stable = Options { conventions: Conventions::Stable, ..Options::default() };
    let mut group = c.benchmark_group("xray");
    for (name, options, requests) in [
        ("corpus", Options::default(), &corpus),
        ("corpus, two indexed", indexed, &corpus),
        ("corpus, stable", stable, &corpus),
        ("load", Options::default(), &load),
    ] {
        let translator = Translator::new(options);
        group.throughput(Throughput::Elements(translate(&translator, requests)));
        group.bench_function(name, |b| b.iter(|| translate(&translator, requests)));
    }
    group.finish();
}

criterion_group!(benches, xray);
criterion_main!(benches);
