//! The AWS SDK's client, with its retries switched off: ours are per document.

use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_xray::Client;
use aws_sdk_xray::config::SharedCredentialsProvider;
use aws_sdk_xray::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_xray::operation::put_trace_segments::PutTraceSegmentsError;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};

use super::call::{Answer, Unprocessed, is_throttle};
use super::{XrayClient, XraySettings};
use crate::export::ExportError;

/// A client for one region or endpoint.
#[derive(Debug, Clone)]
pub struct SdkClient {
    client: Client,
}

/// Connections are kept, so this is rarely waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

fn setting(message: impl Into<String>) -> ExportError {
    ExportError::Setting(message.into())
}

/// Loads region and credentials as the SDKs do. Missing credentials are no error here: they may
/// come.
async fn load(settings: &XraySettings) -> Result<SdkConfig, ExportError> {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12());
    if let Some(proxy) = &settings.proxy_address {
        let fail = |error| setting(format!("proxy_address {proxy:?}: {error}"));
        let proxy = ProxyConfig::all(proxy.as_str()).map_err(fail)?;
        loader =
            loader.http_client(Builder::new().build_with_connector_fn(move |connector, parts| {
                let mut builder = Connector::builder().proxy_config(proxy.clone());
                builder.set_connector_settings(connector.cloned());
                builder.set_sleep_impl(parts.and_then(|parts| parts.sleep_impl()));
                builder
                    .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
                    .build()
            }));
    }
    let configured = settings.region.clone().map(Region::new);
    let chain = RegionProviderChain::first_try(configured);
    let chain = if settings.local_mode {
        let files = ProfileFileRegionProvider::new();
        chain.or_else(EnvironmentVariableRegionProvider::new()).or_else(files)
    } else {
        chain.or_default_provider()
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.request_timeout))
        .operation_attempt_timeout(settings.request_timeout)
        .build();
    let loader = loader.region(chain).timeout_config(timeouts);
    // Calls are small; a stalled one ends by its timeout.
    Ok(loader.stalled_stream_protection(StalledStreamProtectionConfig::disabled()).load().await)
}

/// The text of an error and all its causes, as one line.
fn explain<E: std::error::Error>(error: &E) -> String {
    DisplayErrorContext(error).to_string()
}

fn failed(error: &SdkError<PutTraceSegmentsError>) -> Answer {
    let Some(service) = error.as_service_error() else {
        let message = explain(error);
        return Answer::Failed { throttled: false, retry_after: None, message };
    };
    let status = error.raw_response().map_or(0, |response| response.status().as_u16());
    let code = service.code().unwrap_or_default();
    let text = service.message().unwrap_or_default();
    let message = format!("HTTP {status} {code} {text}");
    // Anything else may pass: credentials are renewed, rights are granted, addresses mended.
    if service.is_invalid_request_exception() || status == 413 {
        return Answer::Refused { message };
    }
    let header = error.raw_response().and_then(|r| r.headers().get("retry-after"));
    let retry_after = header.and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let throttled = service.is_throttled_exception() || status == 429 || is_throttle(code);
    Answer::Failed { throttled, retry_after, message }
}

// === impl SdkClient ===

impl SdkClient {
    /// Finds the region and where credentials come from.
    pub async fn new(settings: &XraySettings) -> Result<Self, ExportError> {
        Self::with_credentials(settings, None).await
    }

    /// The same with credentials that are not the default chain's.
    pub async fn with_credentials(
        settings: &XraySettings,
        credentials: Option<SharedCredentialsProvider>,
    ) -> Result<Self, ExportError> {
        if settings.no_verify_ssl {
            return Err(setting("no_verify_ssl cannot be done: the certificate is always checked"));
        }
        let sdk = load(settings).await?;
        if sdk.region().is_none() {
            return Err(setting("no region: set `region`, or AWS_REGION"));
        }
        let mut config = aws_sdk_xray::config::Builder::from(&sdk);
        config.set_retry_config(Some(RetryConfig::disabled()));
        if let Some(endpoint) = &settings.endpoint {
            config.set_endpoint_url(Some(endpoint.clone()));
        }
        if let Some(credentials) = credentials {
            config.set_credentials_provider(Some(credentials));
        }
        if let Some(role) = &settings.role_arn {
            let mut role =
                AssumeRoleProvider::builder(role).session_name("tailgate").configure(&sdk);
            if let Some(id) = &settings.external_id {
                role = role.external_id(id);
            }
            config = config.credentials_provider(role.build().await);
        }
        Ok(Self { client: Client::from_conf(config.build()) })
    }
}

impl XrayClient for SdkClient {
    async fn put(&self, documents: Vec<String>) -> Answer {
        let call = self.client.put_trace_segments().set_trace_segment_documents(Some(documents));
        let output = match call.send().await {
            Ok(output) => output,
            Err(error) => return failed(&error),
        };
        let unprocessed = output.unprocessed_trace_segments.unwrap_or_default();
        let convert = |u: aws_sdk_xray::types::UnprocessedTraceSegment| Unprocessed {
            id: u.id,
            code: u.error_code.unwrap_or_default(),
            message: u.message.unwrap_or_default(),
        };
        Answer::Taken { unprocessed: unprocessed.into_iter().map(convert).collect() }
    }
}
