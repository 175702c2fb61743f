//! What can be configured of the way to X-Ray.

use std::time::Duration;

use tailgate_common::config::Secret;
use tailgate_common::retry::Retry;

use super::PaceSettings;

/// The collector's `awsxray` keys that concern the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XraySettings {
    /// Base URL instead of the region's; `http://` is allowed.
    pub endpoint: Option<String>,
    /// Else `AWS_REGION`, `AWS_DEFAULT_REGION`, the shared configuration, EC2 metadata.
    pub region: Option<String>,
    /// Do not ask EC2 metadata, neither for the region nor for credentials.
    pub local_mode: bool,
    /// Assume this role with the credentials of the default chain.
    pub role_arn: Option<String>,
    /// For the role.
    pub external_id: Option<String>,
    /// For one call.
    pub request_timeout: Duration,
    /// Do not check the server's certificate. Not together with `proxy_address`.
    pub no_verify_ssl: bool,
    /// Proxy for all calls; if empty, the usual environment variables are heeded.
    pub proxy_address: Secret,
}

/// How calls are made, and made again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SendSettings {
    /// Calls at a time and pauses between them.
    pub pace: PaceSettings,
    /// Tries of a call before its batch counts as failed.
    pub attempts: u32,
}

/// No pause is drawn from longer ones: calls that may fail are cheap, and recovery is quick.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// What the SDKs take `max_retries: 0` for.
const DEFAULT_ATTEMPTS: u32 = 3;

/// The collector's `request_timeout_seconds`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

// === impl SendSettings ===

impl SendSettings {
    /// Of `num_workers`, `max_retries` (all attempts, the first included) and `retry_on_failure`.
    pub fn new(workers: usize, max_retries: u32, retry: &Retry) -> Self {
        let pace = PaceSettings {
            workers,
            first_pause: retry.initial_interval.min(LONGEST_PAUSE),
            growth: retry.multiplier,
            longest_pause: retry.max_interval.min(LONGEST_PAUSE),
        };
        Self { pace, attempts: if max_retries == 0 { DEFAULT_ATTEMPTS } else { max_retries } }
    }
}

// === impl XraySettings ===

impl Default for XraySettings {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: None,
            local_mode: false,
            role_arn: None,
            external_id: None,
            request_timeout: DEFAULT_TIMEOUT,
            no_verify_ssl: false,
            proxy_address: Secret::default(),
        }
    }
}
