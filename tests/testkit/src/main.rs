//! `testkit`: the load generator, the sink and the checker as processes of their own.

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};
use tailgate_testkit::balance::NodeLedger;
use tailgate_testkit::checker::{self, Keep};
use tailgate_testkit::ledger::Ledger;
use tailgate_testkit::load::{self, Compression, Config, Report, Transport};
use tailgate_testkit::sink::{self, Received, Sink};
use tailgate_testkit::traffic::{Shape, Trace, Traffic};

#[derive(Parser)]
#[command(version, about = "Load generator, sink and checker for Tailgate and its peers")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send traces and print what became of them.
    Load(LoadArgs),
    /// Take OTLP/gRPC and OTLP/HTTP and remember what came.
    Sink(SinkArgs),
    /// Judge a load's ledger against sinks' records and nodes' metrics.
    Check(CheckArgs),
}

#[derive(Args)]
struct LoadArgs {
    /// Receivers, e.g. http://127.0.0.1:4317; given several times: workers spread over them.
    #[arg(long, required = true)]
    target: Vec<String>,
    #[arg(long, value_enum, default_value = "grpc")]
    transport: Transport,
    #[arg(long, value_enum, default_value = "none")]
    compression: Compression,
    /// Connections to each target.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests under way at once.
    #[arg(long, default_value_t = 16)]
    workers: usize,
    /// Spans a second; without it, as fast as answers come.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds from a trace's first span to its last (needs --rate).
    #[arg(long, requires = "rate")]
    spread: Option<f64>,
    #[arg(long, default_value_t = 20_000)]
    traces: u64,
    #[arg(long, default_value_t = 12)]
    spans_per_trace: u32,
    #[arg(long, default_value_t = 4)]
    services: u32,
    #[arg(long, default_value_t = 416)]
    span_bytes: usize,
    #[arg(long, default_value_t = 60)]
    spans_per_request: u32,
    #[arg(long, default_value_t = 0)]
    errors_per_mille: u32,
    #[arg(long, default_value_t = 0)]
    slow_per_mille: u32,
    #[arg(long, default_value_t = 0)]
    duplicates_per_mille: u32,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds to retry a request.
    #[arg(long, default_value_t = 30.0)]
    retry_for: f64,
    /// File for the record of what was acked.
    #[arg(long)]
    ledger: Option<PathBuf>,
}

#[derive(Args)]
struct SinkArgs {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:14317")]
    listen: SocketAddr,
    /// File for the ids of all spans received; without it, spans are only counted.
    #[arg(long)]
    record: Option<PathBuf>,
}

#[derive(Args)]
struct CheckArgs {
    /// The load's ledger.
    #[arg(long)]
    ledger: PathBuf,
    /// A sink's record; may be given several times.
    #[arg(long, required = true)]
    record: Vec<PathBuf>,
    /// Texts with a node's final ledger: a scrape, or its output.
    #[arg(long)]
    node: Vec<PathBuf>,
    /// What the policies keep.
    #[arg(long, value_enum, default_value = "all")]
    keep: KeepArg,
    /// Findings to allow: L, S, D, U or F.
    #[arg(long)]
    allow: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeepArg {
    /// Every trace.
    All,
    /// Traces with errors and slow ones; the others not.
    ErrorsAndSlow,
    /// As `errors-and-slow`, the others by chance.
    ErrorsSlowAndChance,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Load(args) => run_load(args).await,
        Command::Sink(args) => run_sink(args).await,
        Command::Check(args) => run_check(&args),
    }
}

async fn run_load(args: LoadArgs) -> anyhow::Result<()> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    let mut shape = Shape {
        seed: args.seed,
        traces: args.traces,
        spans_per_trace: args.spans_per_trace,
        services: args.services,
        span_bytes: args.span_bytes,
        spans_per_request: args.spans_per_request,
        errors_per_mille: args.errors_per_mille,
        slow_per_mille: args.slow_per_mille,
        duplicates_per_mille: args.duplicates_per_mille,
        lag_blocks: 0,
        base_unix_ns: u64::try_from(now.as_nanos())?,
    };
    if let (Some(spread), Some(rate)) = (args.spread, args.rate) {
        shape = shape.spread(spread, rate);
    }
    let config = Config {
        targets: args.target,
        transport: args.transport,
        compression: args.compression,
        connections: args.connections,
        workers: args.workers,
        rate: args.rate,
        retry_for: Duration::from_secs_f64(args.retry_for),
        timeout: Duration::from_secs(10),
        ledger: args.ledger,
    };
    print_report(&load::run(Traffic::new(shape)?, config).await?);
    Ok(())
}

/// One line of JSON, for scripts and readable enough.
fn print_report(report: &Report) {
    let ms = |percent| report.percentile(percent).as_secs_f64() * 1e3;
    let line = serde_json::json!({
        "spans": report.ledger.shape.spans(),
        "acked": report.acked_spans,
        "sent": report.sent_spans,
        "failed_attempts": report.failed_attempts,
        "seconds": report.elapsed.as_secs_f64(),
        "spans_per_second": report.rate().round(),
        "p50_ms": ms(50.0),
        "p99_ms": ms(99.0),
    });
    println!("{line}");
}

async fn run_sink(args: SinkArgs) -> anyhow::Result<()> {
    let keep = args.record.map_or(sink::Keep::Counts, sink::Keep::File);
    let sink = Sink::start(args.listen, keep).await?;
    println!("listening on {}", sink.addr());
    tokio::select! {
        ended = sink.wait() => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

fn run_check(args: &CheckArgs) -> anyhow::Result<()> {
    let ledger = Ledger::load(&args.ledger)?;
    let sinks: Result<Vec<Received>, _> = args.record.iter().map(|p| Received::load(p)).collect();
    let keep = |trace: &Trace| match args.keep {
        KeepArg::All => Keep::Yes,
        _ if trace.error.is_some() || trace.slow => Keep::Yes,
        KeepArg::ErrorsAndSlow => Keep::No,
        KeepArg::ErrorsSlowAndChance => Keep::Either,
    };
    let verdict = checker::check(&ledger, &sinks?, keep)?;
    println!("{verdict}");
    for path in &args.node {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let node = NodeLedger::from_text(&text)?;
        println!("{}:{node}", path.display());
        node.balance()?;
    }
    let allowed: Vec<&str> = args.allow.iter().map(String::as_str).collect();
    Ok(verdict.except(&allowed)?)
}
