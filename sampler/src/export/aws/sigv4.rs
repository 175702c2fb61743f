//! Signatures of AWS (SigV4), with the credentials of the SDK's chain.

use std::sync::Arc;
use std::time::Duration;

use aws_config::Region;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::identity::Identity;
use http::header::PROXY_AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use tailgate_common::client::{Signed, Signer, Stamp};
use tailgate_common::clock::Clock;
use tailgate_common::config::{Scope, Secret, SigV4};

use super::chain::Chain;
use super::http::http_client;
use super::keeper::{Keeper, Source};
use crate::export::ExportError;

/// Signs for one service in one region.
pub struct SigV4Signer {
    scope: Scope,
    keeper: Arc<Keeper>,
}

/// For one question to STS or a metadata service.
const WITHIN: Duration = Duration::from_secs(10);

// === impl SigV4Signer ===

impl SigV4Signer {
    /// Credentials are looked for when there is something to sign.
    pub fn new(scope: Scope, source: Source, clock: Arc<dyn Clock>) -> Self {
        Self { scope, keeper: Arc::new(Keeper::new(source, clock)) }
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
            .time(self.keeper.wall())
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
            let (identity, stamp) = self.keeper.credentials().await?;
            let added = self.signature(&identity, url, headers, body);
            headers.extend(added.map_err(|error| error.to_string())?);
            Ok(stamp)
        })
    }

    fn refused(&self, stamp: Stamp) {
        self.keeper.refused(stamp);
    }
}
