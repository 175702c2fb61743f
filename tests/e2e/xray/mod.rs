//! X-Ray that throttles, fails, hangs and forgets, in front of moto's that stores: what is exported
//! is stored there, to the document.

mod credentials;
mod faults;
mod proxy;
mod settings;
mod signed;
mod throttle;

use crate::fleet::Plan;
use proxy::XrayProxy;
use tailgate_testkit::traffic::Shape;

/// A sampler that keeps everything and sends it there.
fn plan(proxy: &XrayProxy, more: &str) -> Plan {
    let url = proxy.url();
    let settings = format!(
        "{{region: us-east-1, endpoint: \"{url}\", \
         retry_on_failure: {{initial_interval: 200ms}}{more}}}"
    );
    let keep_all = "{decision_wait: 500ms, policies: [{name: all, type: always_sample}]}";
    Plan { tail_sampling: Some(keep_all.into()), ..Plan::exporting("awsxray", settings) }
}

fn shape(traces: u64) -> Shape {
    Shape { seed: 77, traces, spans_per_trace: 10, spans_per_request: 50, ..Shape::default() }
}
