//! What can be configured of the way to X-Ray.

use std::time::Duration;

/// The collector's `awsxray` keys that concern the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XraySettings {
    /// Base URL instead of the region's; `http://` is allowed.
    pub endpoint: Option<String>,
    /// Else `AWS_REGION`, `AWS_DEFAULT_REGION`, the shared configuration, EC2 metadata.
    pub region: Option<String>,
    /// Do not ask EC2 metadata for the region.
    pub local_mode: bool,
    /// Assume this role with the credentials of the default chain.
    pub role_arn: Option<String>,
    /// For the role.
    pub external_id: Option<String>,
    /// For one call.
    pub request_timeout: Duration,
    /// Do not check the server's certificate.
    pub no_verify_ssl: bool,
    /// Proxy for all calls; else the usual environment variables are heeded.
    pub proxy_address: Option<String>,
}

/// The collector's `request_timeout_seconds`.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

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
            proxy_address: None,
        }
    }
}
