//! X-Ray's API over our own HTTP client. There are no retries here: ours are per document.

use std::sync::Arc;
use std::time::Duration;

use aws_config::provider_config::ProviderConfig;
use aws_config::{Region, SdkConfig, imds};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_xray::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::service_config::ServiceConfigKey;
use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use tailgate_common::client::{
    ClientSettings, PostClient, PostError, PostSettings, Proxy, Response, retry_after,
};
use tailgate_common::clock::Clock;
use tailgate_common::config::{AssumeRole, ClientTls, Scope};
use tailgate_common::net::tls;

use super::call::{Answer, CallError, Cause, Unprocessed, is_credentials, is_refused, is_throttle};
use super::telemetry::RecordClient;
use super::{XrayClient, XraySettings};
use crate::export::ExportError;
use crate::export::aws::{Chain, SigV4Signer, Source, http_client, region};

/// A client of one region or endpoint. Cheap to clone.
///
/// Credentials are kept until they expire. When they are not accepted, files are read and metadata
/// services asked again.
#[derive(Clone)]
pub struct ApiClient {
    post: PostClient,
    segments: Uri,
    records: Uri,
    http: SharedHttpClient,
    instance: bool,
    clock: Arc<dyn Clock>,
}

/// What X-Ray says of a call that it took.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Taken {
    unprocessed_trace_segments: Option<Vec<UnprocessedSegment>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct UnprocessedSegment {
    id: Option<String>,
    error_code: Option<String>,
    message: Option<String>,
}

/// What it says of one that it did not. Source: the AWS restJson1 protocol, "Operation error
/// serialization".
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Refusal {
    #[serde(rename = "__type", alias = "code")]
    code: Option<String>,
    #[serde(alias = "Message", alias = "errorMessage")]
    message: Option<String>,
}

/// Connections are kept as long as the SDKs keep theirs.
const KEPT_IDLE: Duration = Duration::from_secs(90);

fn setting(message: impl Into<String>) -> ExportError {
    ExportError::Setting(message.into())
}

/// The base URL: the configured one, else what the SDKs would take.
async fn endpoint(settings: &XraySettings, sdk: &SdkConfig) -> Result<String, ExportError> {
    let of_service = || {
        let key = ServiceConfigKey::builder().service_id("XRay");
        let key = key.env("AWS_ENDPOINT_URL").profile("endpoint_url").build().ok()?;
        sdk.service_config()?.load_config(key)
    };
    let given = settings.endpoint.clone().or_else(of_service);
    let params = Params::builder()
        .set_region(sdk.region().map(Region::to_string))
        .set_endpoint(given.or_else(|| sdk.endpoint_url().map(str::to_owned)))
        .set_use_fips(sdk.use_fips())
        .set_use_dual_stack(sdk.use_dual_stack())
        .build();
    let params = params.map_err(|error| setting(format!("no endpoint: {error}")))?;
    match DefaultResolver::new().resolve_endpoint(&params).await {
        Ok(found) => Ok(found.url().trim_end_matches('/').to_owned()),
        Err(error) => Err(setting(format!("no endpoint: {error}"))),
    }
}

fn url(base: &str, path: &str) -> Result<Uri, ExportError> {
    let url = format!("{base}{path}");
    url.parse().map_err(|error| setting(format!("endpoint {base:?}: {error}")))
}

// === impl ApiClient ===

impl ApiClient {
    /// Finds the region and the endpoint, and where credentials come from.
    pub async fn new(settings: &XraySettings, clock: Arc<dyn Clock>) -> Result<Self, ExportError> {
        Self::with_credentials(settings, None, clock).await
    }

    /// The same with credentials that are not the default chain's.
    pub async fn with_credentials(
        settings: &XraySettings,
        credentials: Option<SharedCredentialsProvider>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ExportError> {
        let http = http_client(&settings.proxy_address, !settings.no_verify_ssl)?;
        let instance = !settings.local_mode;
        let Some(region) = region(settings.region.as_deref(), instance).await else {
            return Err(setting("no region: set `region`, or AWS_REGION"));
        };
        let role = settings.role_arn.clone().map(|arn| AssumeRole {
            arn,
            session_name: String::new(),
            sts_region: String::new(),
            external_id: settings.external_id.clone().unwrap_or_default(),
        });
        let scope = Scope { region: region.to_string(), service: "xray".to_owned() };
        let within = settings.request_timeout;
        let chain = Chain { region, http: http.clone(), within, instance, role };
        let base = endpoint(settings, &chain.load().await).await?;
        let source = credentials.map_or(Source::Chain(chain), Source::Given);
        let signer = SigV4Signer::new(scope, source, clock.clone());
        let post = post_client(settings, &base, signer)?;
        let (segments, records) = (url(&base, "/TraceSegments")?, url(&base, "/TelemetryRecords")?);
        Ok(Self { post, segments, records, http, instance, clock })
    }

    /// The metadata of the instance, unless they are to be left alone.
    pub(super) fn instance(&self) -> Option<imds::Client> {
        let config = ProviderConfig::default().with_http_client(self.http.clone());
        self.instance.then(|| imds::Client::builder().configure(&config).build())
    }
}

fn post_client(
    settings: &XraySettings,
    base: &str,
    signer: SigV4Signer,
) -> Result<PostClient, ExportError> {
    let url = url(base, "/")?;
    let checked =
        ClientTls { insecure_skip_verify: settings.no_verify_ssl, ..ClientTls::default() };
    let tls = match url.scheme_str() {
        Some("http") => None,
        _ => Some(tls::client_config(&checked, &[]).map_err(|e| setting(format!("TLS: {e}")))?),
    };
    let client = ClientSettings {
        tls,
        proxy: Proxy::on_the_way(&url, settings.proxy_address.expose(), "proxy_address")
            .map_err(|error| setting(error.to_string()))?,
        timeout: settings.request_timeout,
        ..ClientSettings::new(base)
    };
    let (max_idle, idle_timeout) = (usize::MAX, Some(KEPT_IDLE));
    let settings = PostSettings { client, max_idle, idle_timeout, signer: Some(Arc::new(signer)) };
    PostClient::new(settings, "application/json").map_err(|error| setting(error.to_string()))
}

impl XrayClient for ApiClient {
    async fn put(&self, call: Bytes) -> Answer {
        match self.post.post(&self.segments, call).await {
            Ok(response) if response.status.is_success() => taken(&response),
            Ok(response) => refused(&response, &*self.clock),
            Err(error) => unanswered(&error),
        }
    }
}

impl RecordClient for ApiClient {
    async fn put_records(&self, call: Bytes) -> Result<(), String> {
        match self.post.post(&self.records, call).await {
            Ok(response) if response.status.is_success() => Ok(()),
            Ok(response) => {
                let (code, message) = refusal(&response);
                Err(format!("HTTP {} {code} {message}", response.status.as_u16()))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

// === Answers ===

fn taken(response: &Response) -> Answer {
    let read = serde_json::from_slice(&response.body);
    let (Ok(Taken { unprocessed_trace_segments }), true) = (read, response.whole) else {
        // What it took cannot be known.
        let message = "an answer that is not X-Ray's, or not all of it".to_owned();
        let (cause, error) = (Cause::Other, CallError::Other);
        return Answer::Failed { cause, error, retry_after: None, message };
    };
    let convert = |u: UnprocessedSegment| Unprocessed {
        id: u.id,
        code: u.error_code.unwrap_or_default(),
        message: u.message.unwrap_or_default(),
    };
    let unprocessed = unprocessed_trace_segments.unwrap_or_default();
    Answer::Taken { unprocessed: unprocessed.into_iter().map(convert).collect() }
}

/// Code and message of an error. The code is in a header or the body, perhaps behind a namespace
/// and before a URL.
fn refusal(response: &Response) -> (String, String) {
    let body: Refusal = serde_json::from_slice(&response.body).unwrap_or_default();
    let header = response.headers.get("x-amzn-errortype").and_then(|code| code.to_str().ok());
    let header = header.filter(|code| !code.is_empty());
    let code = header.map(str::to_owned).or(body.code).unwrap_or_default();
    let code = code.rsplit('#').next().and_then(|code| code.split(':').next()).unwrap_or_default();
    (code.trim().to_owned(), body.message.unwrap_or_default())
}

fn refused(response: &Response, clock: &dyn Clock) -> Answer {
    let (code, text) = refusal(response);
    let status = response.status.as_u16();
    let message = format!("HTTP {status} {code} {text}");
    // Anything else may pass: credentials are renewed, rights are granted, addresses mended.
    if is_refused(&code) || status == 413 {
        return Answer::Refused { message };
    }
    let cause = match () {
        () if status == 429 || is_throttle(&code) => Cause::Throttled,
        () if is_credentials(&code) => {
            response.refuse_credentials();
            Cause::Credentials
        }
        // A right is missing that others may have; or somebody on the way refuses just this call.
        () if matches!(status, 401 | 403) => {
            response.refuse_credentials();
            Cause::Other
        }
        () => Cause::Other,
    };
    let error = match status {
        400..500 => CallError::Http4xx,
        500..600 => CallError::Http5xx,
        _ => CallError::Other,
    };
    let retry_after = retry_after(&response.headers, clock);
    Answer::Failed { cause, error, retry_after, message }
}

fn unanswered(error: &PostError) -> Answer {
    let (cause, kind) = match error {
        PostError::NotSigned(_) => (Cause::Credentials, CallError::Other),
        PostError::TimedOut(_) => (Cause::Other, CallError::Timeout),
        PostError::Unreachable(_) if error.is_refused() => {
            (Cause::Other, CallError::ConnectionRefused)
        }
        PostError::Unreachable(_) => (Cause::Other, CallError::Other),
    };
    Answer::Failed { cause, error: kind, retry_after: None, message: error.to_string() }
}
