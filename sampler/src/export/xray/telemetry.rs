//! `telemetry`: once a minute X-Ray is told what became of calls and documents, by
//! `PutTelemetryRecords`. The collector's limits; nothing here disturbs the segments.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::imds;
use bytes::Bytes;
use serde::Serialize;
use tailgate_common::clock::Clock;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::call::CallError;
use super::{ApiClient, XrayWatch};

/// Between two records.
const EVERY: Duration = Duration::from_secs(60);
/// Unsent records that are kept, the newest.
const KEPT_RECORDS: usize = 30;
/// Records in a call.
const CALL_RECORDS: usize = 10;

/// What is told of the sender. Empty texts were not given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginSettings {
    /// Whether anything is; if not, all of it is empty.
    pub include_metadata: bool,
    /// Else `AWS_HOSTNAME`, EC2 metadata.
    pub hostname: String,
    /// Else `AWS_INSTANCE_ID`, EC2 metadata.
    pub instance_id: String,
    /// Nobody else knows it.
    pub resource_arn: String,
}

/// Who sends the records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Origin {
    #[serde(rename = "Hostname")]
    pub(super) hostname: String,
    #[serde(rename = "EC2InstanceId")]
    pub(super) instance_id: String,
    #[serde(rename = "ResourceARN")]
    pub(super) resource_arn: String,
}

/// What the reporter needs of a client.
pub(super) trait RecordClient: Send + Sync {
    /// Sends the body of a `PutTelemetryRecords` call; why not, if it can't.
    fn put_records(&self, call: Bytes) -> impl Future<Output = Result<(), String>> + Send;
}

/// A call's body. Source of this and the next two: the X-Ray API reference, `PutTelemetryRecords`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Call<'a> {
    telemetry_records: Vec<&'a Record>,
    #[serde(flatten)]
    origin: &'a Origin,
}

/// `TelemetryRecord`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    /// Unix time in seconds.
    timestamp: f64,
    segments_received_count: u64,
    segments_sent_count: u64,
    segments_rejected_count: u64,
    segments_spillover_count: u64,
    backend_connection_errors: ConnectionErrors,
}

/// `BackendConnectionErrors`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConnectionErrors {
    #[serde(rename = "HTTPCode4XXCount")]
    http_4xx: u64,
    #[serde(rename = "HTTPCode5XXCount")]
    http_5xx: u64,
    connection_refused_count: u64,
    timeout_count: u64,
    unknown_host_count: u64,
    other_count: u64,
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Totals {
    sent: u64,
    rejected: u64,
    errors: [u64; CallError::COUNT],
}

pub(super) struct Reporter<C> {
    client: C,
    watches: Vec<XrayWatch>,
    clock: Arc<dyn Clock>,
    told: Totals,
    unsent: VecDeque<Record>,
}

/// Reports what these exporters count, until it is dropped.
pub async fn report(
    client: ApiClient,
    watches: Vec<XrayWatch>,
    settings: OriginSettings,
    clock: Arc<dyn Clock>,
) {
    let env = |name: &str| std::env::var(name).ok();
    let origin = Origin::find(settings, env, client.instance()).await;
    Reporter::new(client, watches, clock).run(&origin, EVERY).await;
}

// === impl Origin ===

impl Origin {
    /// Settings first, then the environment, then the instance if it may be asked.
    pub(super) async fn find(
        settings: OriginSettings,
        env: impl Fn(&str) -> Option<String>,
        instance: Option<imds::Client>,
    ) -> Self {
        if !settings.include_metadata {
            return Self::default();
        }
        let disabled =
            env("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let instance = instance.filter(|_| !disabled);
        let find = async |given: String, variable: &str, path: &str| {
            if !given.is_empty() {
                return given;
            }
            if let Some(text) = env(variable).filter(|text| !text.is_empty()) {
                return text;
            }
            let Some(instance) = &instance else { return String::new() };
            match instance.get(path).await {
                Ok(text) => text.into(),
                Err(error) => {
                    tracing::debug!(%error, path, "EC2 metadata do not tell");
                    String::new()
                }
            }
        };
        let host = find(settings.hostname, "AWS_HOSTNAME", "/latest/meta-data/hostname").await;
        let id = find(settings.instance_id, "AWS_INSTANCE_ID", "/latest/meta-data/instance-id");
        Self { hostname: host, instance_id: id.await, resource_arn: settings.resource_arn }
    }
}

// === impl Totals ===

impl Totals {
    fn read(watches: &[XrayWatch]) -> Self {
        let mut totals = Self::default();
        for figures in watches.iter().map(XrayWatch::read) {
            totals.sent += figures.accepted;
            totals.rejected += figures.lost;
            for (total, errors) in totals.errors.iter_mut().zip(figures.errors) {
                *total += errors;
            }
        }
        totals
    }

    /// What came to these after `earlier`. The API's counts have 32 bits.
    fn record(&self, earlier: &Self, unix_ns: u64) -> Record {
        let more = |now: u64, then: u64| now.saturating_sub(then).min(i32::MAX as u64);
        let errors = |kind: CallError| {
            let kind = kind as usize;
            more(self.errors[kind], earlier.errors[kind])
        };
        Record {
            timestamp: (unix_ns / 1_000_000) as f64 / 1e3,
            segments_received_count: 0,
            segments_sent_count: more(self.sent, earlier.sent),
            segments_rejected_count: more(self.rejected, earlier.rejected),
            segments_spillover_count: 0,
            backend_connection_errors: ConnectionErrors {
                http_4xx: errors(CallError::Http4xx),
                http_5xx: errors(CallError::Http5xx),
                connection_refused_count: errors(CallError::ConnectionRefused),
                timeout_count: errors(CallError::Timeout),
                unknown_host_count: 0,
                other_count: errors(CallError::Other),
            },
        }
    }
}

// === impl Reporter ===

impl<C: RecordClient> Reporter<C> {
    pub(super) fn new(client: C, watches: Vec<XrayWatch>, clock: Arc<dyn Clock>) -> Self {
        Self { client, watches, clock, told: Totals::default(), unsent: VecDeque::new() }
    }

    pub(super) async fn run(mut self, origin: &Origin, every: Duration) {
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.round(origin).await;
        }
    }

    /// Makes a record if there is anything to tell, and sends what is unsent.
    pub(super) async fn round(&mut self, origin: &Origin) {
        let now = Totals::read(&self.watches);
        if now != self.told {
            if self.unsent.len() == KEPT_RECORDS {
                self.unsent.pop_front();
            }
            self.unsent.push_back(now.record(&self.told, self.clock.unix_ns()));
            self.told = now;
        }
        while !self.unsent.is_empty() {
            let telemetry_records: Vec<_> = self.unsent.iter().take(CALL_RECORDS).collect();
            let records = telemetry_records.len();
            // Plain numbers and texts: this cannot fail.
            let call = serde_json::to_vec(&Call { telemetry_records, origin }).unwrap_or_default();
            if let Err(error) = self.client.put_records(call.into()).await {
                let unsent = self.unsent.len();
                tracing::debug!(%error, unsent, "telemetry records cannot be sent");
                return;
            }
            self.unsent.drain(..records);
        }
    }
}
