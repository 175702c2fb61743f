//! `tailgate sampler`: tier 2, wired.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tailgate_common::clock::{Clock, SystemClock};
use tailgate_common::config::{Named, Shared, Shown, total_memory};
use tailgate_common::limit::ByteBudget;
use tailgate_common::peer::{RefusedPeers, Role};
use tailgate_common::receive::Gate;
use tailgate_policy::{Options, Program};
use tailgate_sampler::config::{Exporter, SamplerConfig, TailSampling};
use tailgate_sampler::core::buffer::{Buffer, SHARDS};
use tailgate_sampler::core::shard::Settings;
use tailgate_sampler::hold::{Forwarded, Mode, Sampler};
use tailgate_sampler::life;
use tailgate_sampler::members::{Members, Node};
use tailgate_xray::Told;
use tokio_util::sync::CancellationToken;

use crate::cli;
use crate::observe::Observed;
use crate::process::{self, Failure};
use crate::{exporters, members, observe, receivers};

/// Shares of the memory limit, in percent: what is held, what is on its way out, what is coming in from clients, and
/// as much from load balancers.
const HELD: u64 = 65;
const OUTGOING: u64 = 15;
const INCOMING: u64 = 10;
/// What a remembered decision takes, in bytes: entry, map and list.
const CACHE_ENTRY: u64 = 104;
/// Without `memory_limiter`, the share of the machine's or container's memory, in percent.
const DEFAULT_SHARE: u64 = 75;
/// If nobody says how much memory there is.
const FALLBACK_MEMORY: u64 = 2 << 30;
/// No limit is so small that one large request would not fit.
const LEAST_INCOMING: u64 = 64 << 20;

/// How the memory limit is shared out, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// For traces that are held.
    pub held: u64,
    /// For each exporter's queue.
    pub outgoing: u64,
    /// For requests that are being received; again as much for what load balancers deliver.
    pub incoming: u64,
}

/// Runs a sampler until it is told to stop.
pub fn run(source: &cli::Config) -> Result<ExitCode, Failure> {
    let input = source.input()?;
    let (config, notes) = SamplerConfig::from_input(&input)?;
    process::print_notes(&notes);
    let runtime = process::runtime()?;
    Ok(runtime.block_on(serve(config, input.shown()))?)
}

async fn serve(config: SamplerConfig, shown: Shown) -> anyhow::Result<ExitCode> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let shared = &config.shared;
    let observed = observe::start(shared, "sampler").await?;
    let memory = Memory::of(shared);
    let exporters::Started { exports, xray } = {
        let (known, bytes) = (&shared.authenticators, memory.outgoing as usize);
        exporters::start(&config.exporters, known, bytes, &clock).await?
    };
    let held = ByteBudget::new(memory.held - caches(&config).min(memory.held / 2));
    let mode = match &config.tail_sampling {
        Some(sampling) => {
            let program = program(&sampling.config)?;
            Mode::Sample(Buffer::new(&settings(&config, &sampling.config, memory), &program, &held))
        }
        None => Mode::Forward(Box::<Forwarded>::default()),
    };
    let sampler = Arc::new(Sampler::new(mode, Arc::new(exports), held, clock.clone()));
    let identity = members::identity(&shared.tailgate, Role::Sampler)?;
    let clients = members::clients(&shared.tailgate, &identity, &clock)?;
    let members = Arc::new(Members::new(clients, shared.tailgate.eject_after, &*clock));
    let node = Node { sampler: sampler.clone(), members };
    observed.watch_sampler(&config, &node);
    observed.watch_xray(xray);
    observed.debug_sampler(&config, &shown, &node).await?;

    let mut signal = process::StopSignal::new()?;
    let stop = CancellationToken::new();
    let mut tick = tokio::spawn(life::tick(sampler.clone(), stop.clone()));
    let mut watch = tokio::spawn(node.clone().watch(stop.clone()));
    let incoming = ByteBudget::new(memory.incoming);
    let stop_peers = CancellationToken::new();
    let peers = match &shared.tailgate.internal {
        Some(internal) => {
            let stop = stop_peers.clone();
            // A budget of their own: slow clients must not keep load balancers out.
            let budget = ByteBudget::new(memory.incoming);
            let refused = Arc::<RefusedPeers>::default();
            observed.watch_refused(refused.clone());
            Some(members::serve(internal, identity, node.clone(), &budget, refused, stop).await?)
        }
        None => None,
    };
    let receivers = receivers::start(shared, &sampler, &incoming, Some(&gate(&sampler))).await?;
    observed.watch_receivers(shared, &receivers);
    observed.ready();

    let signal = tokio::select! {
        signal = signal.wait() => signal,
        // They end at `stop` only; without them nothing is decided, and nothing given back.
        ended = &mut tick => anyhow::bail!("decisions have ended: {ended:?}"),
        ended = &mut watch => anyhow::bail!("the watch over members has ended: {ended:?}"),
    };
    tracing::info!(signal, "stopping");
    observed.stopping();
    let lost_before = sampler.snapshot().ledger.lost_spans();
    let deadline = Instant::now() + shared.tailgate.shutdown_timeout;
    let left = || deadline.saturating_duration_since(Instant::now());
    receivers.shutdown(left() / 4).await;
    sampler.stop_accepting();
    stop_peers.cancel();
    stop.cancel();
    let _ = watch.await;
    let ledger = life::drain(&node, left()).await;
    if let Some(peers) = peers {
        let _ = tokio::time::timeout(Duration::from_secs(1), peers).await;
    }
    Observed::end(observed).await;
    Ok(process::last_words(&ledger, ledger.lost_spans() - lost_before))
}

/// Nothing is read that would be refused anyway.
fn gate(sampler: &Arc<Sampler>) -> Gate {
    let sampler = sampler.clone();
    Arc::new(move || sampler.refuses_all())
}

/// Bytes that remembered decisions may take.
fn caches(config: &SamplerConfig) -> u64 {
    let entries = |sampling: &TailSampling| {
        (sampling.sampled_cache_size + sampling.non_sampled_cache_size) as u64
    };
    config.tail_sampling.as_ref().map_or(0, |named| entries(&named.config)) * CACHE_ENTRY
}

fn program(sampling: &TailSampling) -> anyhow::Result<Arc<Program>> {
    let options =
        Options { sample_on_first_match: sampling.sample_on_first_match, ..Options::default() };
    Ok(Arc::new(Program::compile(&sampling.policies, options)?))
}

fn settings(config: &SamplerConfig, sampling: &TailSampling, memory: Memory) -> Settings {
    let tells = |exporter: &Named<Exporter>| match &exporter.config {
        Exporter::AwsXray(aws) => aws.told != Told::default(),
        _ => false,
    };
    let after_root = sampling.decision_wait_after_root_received;
    let share = |size: usize| size.div_ceil(SHARDS);
    Settings {
        decision_wait: sampling.decision_wait,
        wait_after_root: (!after_root.is_zero()).then_some(after_root),
        max_traces: share(usize::try_from(sampling.num_traces).unwrap_or(usize::MAX)),
        // One trace must not take the place of all others.
        max_trace_bytes: (memory.held / 8).clamp(1 << 20, 8 << 20) as u32,
        sampled_cache: share(sampling.sampled_cache_size),
        not_sampled_cache: share(sampling.non_sampled_cache_size),
        tell_why: config.exporters.iter().any(tells),
        ..Settings::default()
    }
}

// === impl Memory ===

impl Memory {
    /// The shares of what the configuration or the machine allows.
    pub fn of(shared: &Shared) -> Self {
        let limit = match &shared.memory_limiter {
            Some(limiter) => limiter.limit_bytes.saturating_sub(limiter.spike_bytes),
            None => total_memory(Path::new("/")).unwrap_or(FALLBACK_MEMORY) / 100 * DEFAULT_SHARE,
        };
        let share = |percent| limit / 100 * percent;
        Self {
            held: share(HELD),
            outgoing: share(OUTGOING),
            incoming: share(INCOMING).max(LEAST_INCOMING),
        }
    }
}
