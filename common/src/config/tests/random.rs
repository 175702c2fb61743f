//! Whatever the input, the answer is a value or errors.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Pieces that make YAML, near-YAML and configurations when strung together.
const PIECES: &[&str] = &[
    "receivers:\n",
    "exporters:\n",
    "service:\n",
    "processors:\n",
    "pipelines:\n",
    "  otlp:\n",
    "tailgate: ",
    "  traces: ",
    "protocols:",
    "{grpc: }",
    "endpoint: ",
    "- ",
    "  ",
    "\n",
    "\t",
    ": ",
    ":",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "|\n",
    ">-\n",
    "'",
    "\"",
    "#",
    "---\n",
    "...\n",
    "? ",
    "%YAML 1.2\n",
    "~",
    "null",
    "1e6",
    "0x",
    "-1",
    "10s",
    "1.5",
    "true",
    "${env:A}",
    "${env:A:-x}",
    "${",
    "}",
    "$$",
    "\u{e9}",
    "\u{1f600}",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\\u0000",
    "\0",
    "\u{feff}",
    "secret: x",
    "members: ",
    "headers: ",
    "@",
    "`",
];

fn env(name: &str) -> Option<String> {
    HashMap::from([("A", "[1, ${env:B}"), ("B", "${env:A}")]).get(name).map(|v| (*v).to_owned())
}

fn survives(text: &str) {
    let Ok(input) = Input::parse("f.yaml", text, &env) else { return };
    let shared = Document::read(&input).map(|document| {
        let _ = detect_tiers(&document);
        let _ =
            document.exporters.iter().filter_map(|c| Some(OtlpClient::read(&c.reader()?))).count();
        let pipeline = document.pipeline(Tier::Sampler);
        Shared::read(&document, Tier::Sampler, pipeline.as_ref(), |_| {})
    });
    match input.finish(shared) {
        Ok((_, notes)) => notes.iter().for_each(|n| drop(n.to_string())),
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..60)) {
        survives(&pieces.concat());
    }

    #[test]
    fn noise(text in "\\PC{0,200}") {
        survives(&text);
    }

    /// A good file with a few characters replaced or cut out.
    #[test]
    fn damaged(edits in prop::collection::vec((0usize..600, prop::sample::select(PIECES)), 1..5)) {
        let mut chars: Vec<String> = super::sections::WHOLE.chars().map(String::from).collect();
        for (at, piece) in edits {
            let at = at % chars.len();
            chars[at] = piece.to_owned();
        }
        survives(&chars.concat());
    }
}
