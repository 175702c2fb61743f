//! Damaged files: whatever is wrong, there is an answer, and soon.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use tailgate_common::config::{Document, Input, Tier};
use tailgate_loadbalancer::config::LoadBalancerConfig;
use tailgate_sampler::config::SamplerConfig;

use crate::shapes;

/// Generous: the machine may be busy.
const SOON: Duration = Duration::from_secs(20);

const PIECES: &[&str] = &[
    "",
    " ",
    "\n",
    ":",
    ": ",
    "{",
    "}",
    "[",
    "]",
    ",",
    "- ",
    "&a ",
    "*a",
    "<<: *a",
    "${env:A}",
    "${",
    "$",
    "'",
    "\"",
    "#",
    "null",
    "~",
    "1e9",
    "-1",
    "10s",
    "true",
    "/",
    "traces",
    "otlp",
    "\u{1f600}",
];

fn survives(text: &str) {
    let begun = Instant::now();
    let env = |name: &str| (name == "A").then(|| "{a: [1, 2]}".to_owned());
    if let Ok(input) = Input::parse("f.yaml", text, &env)
        && let Some(document) = Document::read(&input)
    {
        for tier in [Tier::LoadBalancer, Tier::Sampler] {
            document.answers(tier).iter().for_each(|line| assert!(!line.text.is_empty()));
        }
    }
    if let Ok(input) = Input::parse("f.yaml", text, &env)
        && let Err(errors) = SamplerConfig::from_input(&input)
    {
        assert!(!errors.to_string().is_empty());
    }
    if let Ok(input) = Input::parse("f.yaml", text, &env)
        && let Err(errors) = LoadBalancerConfig::from_input(&input)
    {
        assert!(!errors.to_string().is_empty());
    }
    assert!(begun.elapsed() < SOON, "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_shapes(
        which in any::<prop::sample::Index>(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(PIECES)), 0..6),
    ) {
        let files = shapes();
        let text = std::fs::read_to_string(&files[which.index(files.len())]).unwrap();
        let mut chars: Vec<String> = text.chars().map(String::from).collect();
        for (at, piece) in edits {
            let at = at.index(chars.len());
            chars[at] = piece.to_owned();
        }
        survives(&chars.concat());
    }
}
