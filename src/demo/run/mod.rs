//! Runs the demo: the embedded X-Ray endpoint, a load balancer and two samplers as processes of
//! their own, the shop's traffic, a live view, and at the end an orderly stop with the ledger.
//!
//! The children end with the demo: by SIGTERM when it is stopped, by SIGKILL when it is stopped
//! twice or fails. They have a process group of their own, so that Ctrl-C reaches the demo alone
//! and the tiers stop in order.

mod children;
mod ledger;
mod plan;
mod view;

use super::metrics::Reader;
use super::traffic::{self, Counts, Traffic};
use super::xray;
use anyhow::{Context, bail};
use children::{Child, End};
use plan::Plan;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, MissedTickBehavior};

/// What the demo is asked to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Send nothing: wait for your own application's spans.
    #[arg(long)]
    pub no_traffic: bool,
    /// Traces that the shop starts in a second.
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = rate)]
    pub traces_per_second: f64,
    /// Stop by itself after this time, such as 30s or 2m; without it, at Ctrl-C.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub duration: Option<Duration>,
    /// The ports that others use.
    #[command(flatten)]
    pub ports: Ports,
    /// Where configuration files and logs go; without it a temporary directory.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// The ports that others use, all on 127.0.0.1; 0 takes a free one.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Ports {
    /// OTLP/gRPC of the load balancer.
    #[arg(long, value_name = "PORT", default_value_t = 4317)]
    pub otlp_grpc_port: u16,
    /// OTLP/HTTP of the load balancer.
    #[arg(long, value_name = "PORT", default_value_t = 4318)]
    pub otlp_http_port: u16,
    /// The X-Ray endpoint.
    #[arg(long, value_name = "PORT", default_value_t = 2000)]
    pub xray_port: u16,
}

/// From the start of the children until all are ready.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// From SIGTERM until a child has ended: its own `shutdown_timeout` and a little.
const STOP_TIMEOUT: Duration = Duration::from_secs(28);
/// For requests on their way when the traffic stops.
const TRAFFIC_TIMEOUT: Duration = Duration::from_secs(12);
/// Traces on their way at a time.
const IN_FLIGHT: usize = 64;

/// Runs the demo until it is stopped or `options.duration` is over. The code is 0 if all children
/// ended well and the ledger balances, else 1.
///
/// # Errors
/// What kept it from starting (a port in use, a directory that can't be written, a child that
/// ended or was not ready in time), or a child that ended on its own. No child is left behind.
pub async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new().context("signal handlers")?;
    let plan = Plan::new(&options)?;
    let xray = xray::serve(plan.take_xray_listener()?, xray::Limits::default())?;
    let mut fleet = plan.start()?;
    let reader = Reader::new();
    tokio::select! {
        ready = await_ready(&mut fleet, &reader) => ready?,
        () = signals.next() => {
            say("Stopped before the start was complete.");
            return Ok(ExitCode::FAILURE);
        }
    }
    let traffic = match options.no_traffic {
        true => None,
        false => Some(traffic::start(traffic::Plan {
            endpoint: plan.otlp_url(),
            traces_per_second: options.traces_per_second,
            in_flight: IN_FLIGHT,
            seed: plan::random(),
        })?),
    };
    say(&plan.greeting(&xray));
    let mut view = view::View::new(&plan, reader);
    let watched =
        watch(&mut fleet, &mut view, traffic.as_ref(), &xray, options.duration, &mut signals);
    watched.await?;
    drain(fleet, traffic, &xray, &mut signals).await
}

async fn await_ready(fleet: &mut [Child], reader: &Reader) -> anyhow::Result<()> {
    let deadline = Instant::now() + START_TIMEOUT;
    for child in fleet {
        while !reader.is_ready(child.health_port).await {
            child.check_running()?;
            if Instant::now() > deadline {
                bail!("{} was not ready in {START_TIMEOUT:?}{}", child.name, child.last_log());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

/// Shows what happens, once a second, until the demo is stopped or `duration` is over.
async fn watch(
    fleet: &mut [Child],
    view: &mut view::View,
    traffic: Option<&Traffic>,
    xray: &xray::Handle,
    duration: Option<Duration>,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let end = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            () = &mut end => return Ok(()),
            _ = tick.tick() => {}
        }
        for child in fleet.iter_mut() {
            child.check_running()?;
        }
        let counts = traffic.map(Traffic::counts).unwrap_or_default();
        view.show(counts, xray.stats()).await;
    }
}

/// Stops the traffic, then the load balancer, then the samplers, and prints what became of every
/// span. A second signal ends everything at once.
async fn drain(
    fleet: Vec<Child>,
    traffic: Option<Traffic>,
    xray: &xray::Handle,
    signals: &mut Signals,
) -> anyhow::Result<ExitCode> {
    say("\nStopping: the traffic, then the load balancer, then the samplers (once more: at once).");
    let drained = async {
        let counts = match traffic {
            Some(traffic) => Some(traffic.stop(TRAFFIC_TIMEOUT).await),
            None => None,
        };
        (counts, stop_in_order(fleet).await)
    };
    let (counts, ends) = tokio::select! {
        drained = drained => drained,
        () = signals.next() => {
            say("Stopped at once: what was held is lost.");
            return Ok(ExitCode::FAILURE);
        }
    };
    let balanced = report(&ends, counts, xray.stats());
    let ended_well = ends.iter().all(End::is_success);
    Ok(if balanced && ended_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The first child is the load balancer: the samplers still take what it has on its way.
async fn stop_in_order(mut fleet: Vec<Child>) -> Vec<End> {
    let samplers = fleet.split_off(1);
    let mut ends = Vec::new();
    for tier in [fleet, samplers] {
        tier.iter().for_each(Child::terminate);
        let deadline = Instant::now() + STOP_TIMEOUT;
        for child in tier {
            ends.push(child.ended(deadline).await);
        }
    }
    ends
}

/// Prints how each child ended and its ledger, and the total; returns whether it balances.
fn report(ends: &[End], counts: Option<Counts>, xray: xray::Stats) -> bool {
    for end in ends {
        say(&format!("\n{}: {}", end.name, end.describe()));
        end.lines.iter().for_each(|line| say(line));
        if !end.is_success() {
            say(&end.last_log);
        }
    }
    let (loadbalancer, samplers) = match ends {
        [first, rest @ ..] => (first, rest),
        [] => return false,
    };
    let total = ledger::Total {
        loadbalancer: ledger::Ledger::parse(&loadbalancer.lines),
        samplers: samplers.iter().map(|end| ledger::Ledger::parse(&end.lines)).collect(),
        shop: counts,
        xray,
    };
    let checks = total.checks();
    say("\nTotal, in spans");
    for check in &checks {
        say(&format!("  {} {}", if check.holds { "ok " } else { "NOT" }, check.text));
    }
    checks.iter().all(|check| check.holds)
}

/// A line to the terminal. It may be gone; the demo has to stop in order all the same, which
/// `println!` would not.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let sound = rate.is_finite() && rate > 0.0 && rate <= 100_000.0;
    if sound { Ok(rate) } else { Err("not between 0 and 100000".into()) }
}

fn time(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| "write a time such as 30s or 2m".to_owned())?;
    let seconds = match unit {
        "ms" => return Ok(Duration::from_millis(number)),
        "s" => Some(number),
        "m" => number.checked_mul(60),
        "h" => number.checked_mul(3600),
        _ => return Err("write a time such as 30s or 2m".into()),
    };
    seconds.map(Duration::from_secs).ok_or_else(|| "too long".into())
}

/// The signals that end the demo.
struct Signals([Signal; 3]);

// === impl Signals ===

impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Options {
            no_traffic: false,
            traces_per_second: 50.0,
            duration: None,
            ports: Ports::default(),
            dir: None,
        }
    }
}

// === impl Ports ===

impl Ports {
    /// Free ports for all, as tests want them.
    pub fn free() -> Ports {
        Ports { otlp_grpc_port: 0, otlp_http_port: 0, xray_port: 0 }
    }
}

impl Default for Ports {
    fn default() -> Self {
        Ports { otlp_grpc_port: 4317, otlp_http_port: 4318, xray_port: 2000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(time("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(time("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(time("250ms"), Ok(Duration::from_millis(250)));
        assert!(time("30").is_err() && time("s").is_err() && time("-1s").is_err());
        assert!(time("99999999999999999h").is_err());
    }

    #[test]
    fn a_rate_is_a_positive_number() {
        assert_eq!(rate("0.5"), Ok(0.5));
        assert!(rate("0").is_err() && rate("NaN").is_err() && rate("many").is_err());
    }
}
