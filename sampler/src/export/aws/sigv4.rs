//! Signatures of AWS (SigV4), with the credentials of the SDK's chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_config::Region;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::error::display::DisplayErrorContext;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tailgate_common::client::{Signed, Signer, Stamp};
use tailgate_common::clock::{Clock, Nanos};
use tailgate_common::config::{Scope, Secret, SigV4};
use tokio::sync::Mutex;

use super::chain::Chain;
use super::http::http_client;
use crate::export::ExportError;

/// Signs for one service in one region. Credentials are kept until shortly before they expire, or
/// until they are refused; then all of the chain is asked anew, files included.
pub struct SigV4Signer {
    scope: Scope,
    source: Source,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
    /// The last stamp that was refused.
    refused: AtomicU64,
}

/// Where credentials come from.
pub enum Source {
    /// The SDK's chain.
    Chain(Chain),
    /// This, and nothing else.
    Given(SharedCredentialsProvider),
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

// === impl SigV4Signer ===

impl SigV4Signer {
    /// Credentials are looked for when there is something to sign.
    pub fn new(scope: Scope, source: Source, clock: Arc<dyn Clock>) -> Self {
        let (held, refused) = (Mutex::default(), AtomicU64::new(0));
        Self { scope, source, clock, held, refused }
    }

    /// For OTLP to `url`, as `sigv4auth` says.
    pub fn for_otlp(sigv4: &SigV4, url: &str, clock: Arc<dyn Clock>) -> Result<Self, ExportError> {
        let scope = sigv4.scope(url);
        if scope.region.is_empty() || scope.service.is_empty() {
            let text = "sigv4auth: set region and service, as the URL does not say both";
            return Err(ExportError::Setting(text.to_owned()));
        }
        let role = sigv4.role.clone();
        let sts = role.as_ref().map(|role| &role.sts_region).filter(|region| !region.is_empty());
        let chain = Chain {
            region: Region::new(sts.unwrap_or(&scope.region).clone()),
            http: http_client(&Secret::default(), true)?,
            within: WITHIN,
            instance: true,
            role,
        };
        Ok(Self::new(scope, Source::Chain(chain), clock))
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.clock.unix_ns())
    }

    /// New ones are looked for before the held ones end; those are good until then.
    async fn identity(&self) -> Result<(Identity, Stamp), String> {
        let mut held = self.held.lock().await;
        if held.stamp <= self.refused.load(Ordering::Acquire) {
            held.forget();
        }
        let wall = self.wall();
        if let Some(identity) = held.lasting(wall + MARGIN) {
            return Ok((identity, held.stamp));
        }
        let now = self.clock.now();
        let failed = match &held.failed {
            Some((at, why)) if now.since(*at) < PAUSE => why.clone(),
            _ => match self.look(&mut held).await {
                Ok(identity) => {
                    held.identity = Some(identity.clone());
                    (held.stamp, held.failed) = (held.stamp + 1, None);
                    return Ok((identity, held.stamp));
                }
                Err(why) => {
                    held.provider = None;
                    held.failed = Some((now, why.clone()));
                    why
                }
            },
        };
        match held.lasting(wall) {
            Some(identity) => Ok((identity, held.stamp)),
            None => Err(failed),
        }
    }

    async fn look(&self, held: &mut Held) -> Result<Identity, String> {
        let provider = match (&held.provider, &self.source) {
            (Some(provider), _) | (None, Source::Given(provider)) => provider.clone(),
            (None, Source::Chain(chain)) => {
                let provider = chain.provider().await;
                provider.ok_or_else(|| "there is no chain of credentials".to_owned())?
            }
        };
        held.provider = Some(provider.clone());
        match provider.provide_credentials().await {
            Ok(credentials) => Ok(Identity::from(credentials)),
            Err(error) => Err(format!("no AWS credentials: {}", DisplayErrorContext(error))),
        }
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

    /// What is held, if it is good beyond `until`.
    fn lasting(&self, until: SystemTime) -> Option<Identity> {
        let lasts = |i: &&Identity| i.expiration().is_none_or(|end| end > until);
        self.identity.as_ref().filter(lasts).cloned()
    }
}
