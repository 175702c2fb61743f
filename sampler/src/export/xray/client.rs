//! The AWS SDK's client, with its retries switched off: ours are per document.

use std::error::Error;
use std::io;
use std::iter::successors;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_config::imds;
use aws_config::provider_config::ProviderConfig;
use aws_sdk_xray::Client;
use aws_sdk_xray::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_sdk_xray::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_xray::operation::put_trace_segments::PutTraceSegmentsError;
use aws_sdk_xray::types::TelemetryRecord;

use super::call::{Answer, CallError, Cause, Unprocessed, is_credentials, is_throttle};
use super::connect::{self, http_client};
use super::telemetry::{Origin, RecordClient};
use super::{XrayClient, XraySettings};
use crate::export::ExportError;

/// A client for one region or endpoint.
///
/// The SDK keeps credentials until they expire, and reads profiles once. So when they are not
/// accepted, all of it is made anew: files are read and metadata services asked again.
#[derive(Clone)]
pub struct SdkClient {
    inner: Arc<Inner>,
}

struct Inner {
    settings: XraySettings,
    /// Instead of the default chain's.
    credentials: Option<SharedCredentialsProvider>,
    http: SharedHttpClient,
    current: ArcSwap<Client>,
    /// Held while it is made anew.
    renewing: tokio::sync::Mutex<()>,
}

/// The text of an error and all its causes, as one line.
fn explain<E: Error>(error: &E) -> String {
    DisplayErrorContext(error).to_string()
}

fn failed(error: &SdkError<PutTraceSegmentsError>) -> Answer {
    let Some(service) = error.as_service_error() else {
        // What never got to the network lacked credentials.
        let unsent = matches!(error, SdkError::DispatchFailure(failure) if failure.is_other());
        let cause = if unsent { Cause::Credentials } else { Cause::Other };
        let (error, message) = (unanswered(error), explain(error));
        return Answer::Failed { cause, error, retry_after: None, message };
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
    let cause = match () {
        () if service.is_throttled_exception() || status == 429 || is_throttle(code) => {
            Cause::Throttled
        }
        () if is_credentials(code) => Cause::Credentials,
        () => Cause::Other,
    };
    let error = match status {
        400..500 => CallError::Http4xx,
        500..600 => CallError::Http5xx,
        _ => CallError::Other,
    };
    Answer::Failed { cause, error, retry_after, message }
}

/// How a call failed that X-Ray did not answer, or not as itself.
fn unanswered(error: &SdkError<PutTraceSegmentsError>) -> CallError {
    let causes = || successors(Some(error as &dyn Error), |error| (*error).source());
    let refused = |error: &io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    match error {
        SdkError::TimeoutError(_) => CallError::Timeout,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => CallError::Timeout,
        _ if causes().filter_map(|e| e.downcast_ref()).any(refused) => CallError::ConnectionRefused,
        _ => CallError::Other,
    }
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
        let http = http_client(settings)?;
        let config = connect::load(settings, http.clone(), credentials.clone()).await?;
        let inner = Inner {
            settings: settings.clone(),
            credentials,
            http,
            current: ArcSwap::from_pointee(Client::from_conf(config)),
            renewing: tokio::sync::Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The metadata of the instance, unless they are to be left alone.
    pub(super) fn instance(&self) -> Option<imds::Client> {
        let config = ProviderConfig::default().with_http_client(self.inner.http.clone());
        let asked = !self.inner.settings.local_mode;
        asked.then(|| imds::Client::builder().configure(&config).build())
    }

    /// Looks for credentials anew, unless somebody has since `used` was made.
    async fn renew(&self, used: &Arc<Client>) {
        let inner = &*self.inner;
        let _one = inner.renewing.lock().await;
        if !Arc::ptr_eq(&inner.current.load(), used) {
            return;
        }
        let credentials = inner.credentials.clone();
        match connect::load(&inner.settings, inner.http.clone(), credentials).await {
            Ok(config) => inner.current.store(Arc::new(Client::from_conf(config))),
            Err(error) => tracing::debug!(%error, "cannot load the AWS configuration again"),
        }
    }
}

impl XrayClient for SdkClient {
    async fn put(&self, documents: Vec<String>) -> Answer {
        let client = self.inner.current.load_full();
        let call = client.put_trace_segments().set_trace_segment_documents(Some(documents));
        let output = match call.send().await {
            Ok(output) => output,
            Err(error) => {
                let answer = failed(&error);
                if matches!(answer, Answer::Failed { cause: Cause::Credentials, .. }) {
                    self.renew(&client).await;
                }
                return answer;
            }
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

impl RecordClient for SdkClient {
    async fn put_records(
        &self,
        origin: &Origin,
        records: Vec<TelemetryRecord>,
    ) -> Result<(), String> {
        let client = self.inner.current.load_full();
        let call = client
            .put_telemetry_records()
            .set_telemetry_records(Some(records))
            .hostname(&origin.hostname)
            .ec2_instance_id(&origin.instance_id)
            .resource_arn(&origin.resource_arn);
        call.send().await.map(drop).map_err(|error| explain(&error))
    }
}
