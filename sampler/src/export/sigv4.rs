//! Signatures of AWS (SigV4) for requests over OTLP/HTTP, with the credentials of the SDK's chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_xray::config::SharedHttpClient;
use aws_sdk_xray::error::DisplayErrorContext;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tailgate_common::client::{Signed, Signer, Stamp};
use tailgate_common::clock::{Clock, Nanos};
use tailgate_common::config::{AssumeRole, Scope, SigV4};
use tokio::sync::Mutex;

use super::ExportError;
use super::xray::XraySettings;
use super::xray::connect::{Role, http_client, loader};

/// Signs for one service in one region. Credentials are kept until shortly before they expire, or
/// until they are refused; then all of the chain is asked anew, files included.
pub struct SigV4Signer {
    scope: Scope,
    role: Option<AssumeRole>,
    http: SharedHttpClient,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// The last stamp that was refused.
    refused: AtomicU64,
}

#[derive(Default)]
struct Held {
    provider: Option<SharedCredentialsProvider>,
    identity: Option<Identity>,
    /// Counts the identities.
    stamp: Stamp,
    /// When there were no credentials, and why.
    failed: Option<(Nanos, String)>,
}

/// Credentials that end within this are replaced.
const MARGIN: Duration = Duration::from_secs(60);
/// For one question to STS or a metadata service.
const WITHIN: Duration = Duration::from_secs(10);
/// When there are none, the chain is not asked again before.
const PAUSE: Duration = Duration::from_secs(1);

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

// === impl SigV4Signer ===

impl SigV4Signer {
    /// For requests to `url`; credentials are looked for when there is something to sign.
    pub fn new(sigv4: &SigV4, url: &str, clock: Arc<dyn Clock>) -> Result<Self, ExportError> {
        let scope = sigv4.scope(url);
        if scope.region.is_empty() || scope.service.is_empty() {
            let text = "sigv4auth: set region and service, as the URL does not say both";
            return Err(ExportError::Setting(text.to_owned()));
        }
        Ok(Self {
            scope,
            role: sigv4.role.clone(),
            http: http_client(&XraySettings::default())?,
            clock,
            held: Mutex::default(),
            refused: AtomicU64::new(0),
        })
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.clock.unix_ns())
    }

    async fn identity(&self) -> Result<(Identity, Stamp), String> {
        let mut held = self.held.lock().await;
        if held.stamp <= self.refused.load(Ordering::Acquire) {
            held.forget();
        }
        let until = self.wall() + MARGIN;
        let lasts = |i: &&Identity| i.expiration().is_none_or(|end| end > until);
        if let Some(identity) = held.identity.as_ref().filter(lasts) {
            return Ok((identity.clone(), held.stamp));
        }
        let now = self.clock.now();
        if let Some((at, why)) = &held.failed
            && now.since(*at) < PAUSE
        {
            return Err(why.clone());
        }
        let provider = match &held.provider {
            Some(provider) => provider.clone(),
            None => held.provider.insert(self.provider().await?).clone(),
        };
        match provider.provide_credentials().await {
            Ok(credentials) => {
                let identity = Identity::from(credentials);
                held.identity = Some(identity.clone());
                (held.stamp, held.failed) = (held.stamp + 1, None);
                Ok((identity, held.stamp))
            }
            Err(error) => {
                let why = format!("no AWS credentials: {}", DisplayErrorContext(error));
                held.forget();
                held.failed = Some((now, why.clone()));
                Err(why)
            }
        }
    }

    /// The chain, or the role that is assumed with it.
    async fn provider(&self) -> Result<SharedCredentialsProvider, String> {
        let role = self.role.as_ref();
        let sts = role.map(|role| &role.sts_region).filter(|region| !region.is_empty());
        let region = Region::new(sts.unwrap_or(&self.scope.region).clone());
        let sdk = loader(region, self.http.clone(), WITHIN).load().await;
        if let Some(role) = role {
            let (session, external_id) = (given(&role.session_name), given(&role.external_id));
            let role = Role { arn: &role.arn, session, external_id }.assume(&sdk).await;
            return Ok(SharedCredentialsProvider::new(role));
        }
        sdk.credentials_provider().ok_or_else(|| "there is no chain of credentials".to_owned())
    }

    fn signature(
        &self,
        identity: &Identity,
        url: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<(HeaderName, HeaderValue)>, aws_smithy_runtime_api::box_error::BoxError> {
        let params = SigningParams::builder()
            .identity(identity)
            .region(&self.scope.region)
            .name(&self.scope.service)
            .time(self.wall())
            .settings(SigningSettings::default())
            .build()?
            .into();
        // A proxy keeps its header for itself. What is not text cannot be signed.
        let signed = headers.iter().filter(|(name, _)| **name != PROXY_AUTHORIZATION);
        let signed = signed.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new("POST", url.to_string(), signed, body)?;
        let (instructions, _) = sign(request, &params)?.into_parts();
        let (added, _) = instructions.into_parts();
        let mut headers = Vec::with_capacity(added.len());
        for header in added {
            let mut value = HeaderValue::from_str(header.value())?;
            value.set_sensitive(true);
            headers.push((HeaderName::from_static(header.name()), value));
        }
        Ok(headers)
    }
}

impl Signer for SigV4Signer {
    fn sign<'a>(&'a self, url: &'a Uri, headers: &'a mut HeaderMap, body: &'a [u8]) -> Signed<'a> {
        Box::pin(async move {
            let (identity, stamp) = self.identity().await?;
            let added = self.signature(&identity, url, headers, body);
            headers.extend(added.map_err(|error| error.to_string())?);
            Ok(stamp)
        })
    }

    fn refused(&self, stamp: Stamp) {
        self.refused.fetch_max(stamp, Ordering::AcqRel);
    }
}

// === impl Held ===

impl Held {
    fn forget(&mut self) {
        (self.provider, self.identity) = (None, None);
    }
}
