//! Lines of `{"request": OTLP/JSON, "options": {..}}` in, a line with the documents of each out.
//! For comparisons with other programs, see `tests/peers/xray`.

use std::io::{self, BufRead, Write};

use serde_json::{Value, json};
use tailgate_proto::json::read_json;
use tailgate_xray::{Conventions, Documents, Options, Translator};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut entropy = 0_u64;
    let mut invent = || {
        entropy += 1;
        // Odd factor: distinct, and nothing that a request would hold.
        entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let mut documents = Documents::default();
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line: Value = serde_json::from_str(&line?)?;
        let fragment = read_json(line["request"].to_string().as_bytes())?;
        documents.clear();
        Translator::new(options(&line["options"])).translate(
            &fragment,
            &mut invent,
            1_700_000_000,
            &mut documents,
        );
        let texts: Vec<_> = documents.iter().map(|document| document.text()).collect();
        writeln!(out, "{}", json!({"documents": texts}))?;
        out.flush()?;
    }
    Ok(())
}

fn options(value: &Value) -> Options {
    let texts = |key: &str| -> Vec<String> {
        let items = value[key].as_array().into_iter().flatten();
        items.filter_map(Value::as_str).map(String::from).collect()
    };
    Options {
        indexed_attributes: texts("indexed_attributes"),
        index_all_attributes: value["index_all_attributes"] == true,
        aws_log_groups: texts("aws_log_groups"),
        allow_dot: value["no_dots"] != true,
        conventions: match value["stable"] == true {
            true => Conventions::Stable,
            false => Conventions::Collector,
        },
        ..Options::default()
    }
}
