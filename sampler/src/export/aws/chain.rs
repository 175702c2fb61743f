//! Region and credentials, from where all SDKs look for them.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tailgate_common::config::AssumeRole;

/// Connections are kept, so this is rarely waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The SDKs' default chain, and what is done with what it finds.
#[derive(Clone)]
pub struct Chain {
    /// Whose STS is asked.
    pub region: Region,
    /// Asks STS and metadata services.
    pub http: SharedHttpClient,
    /// For one question to them.
    pub within: Duration,
    /// EC2 metadata may be asked.
    pub instance: bool,
    /// To be assumed with the credentials that are found.
    pub role: Option<AssumeRole>,
}

fn given(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The region: the configured one, else where the SDKs look.
pub async fn region(configured: Option<&str>, instance: bool) -> Option<Region> {
    let configured = configured.map(|region| Region::new(region.to_owned()));
    let chain = RegionProviderChain::first_try(configured);
    let chain = if instance {
        chain.or_default_provider()
    } else {
        let files = ProfileFileRegionProvider::new();
        chain.or_else(EnvironmentVariableRegionProvider::new()).or_else(files)
    };
    chain.region().await
}

/// The default chain but for its last link, EC2 metadata.
fn without_instance(config: &ProviderConfig) -> CredentialsProviderChain {
    let profile = ProfileFileCredentialsProvider::builder().configure(config).build();
    let token = WebIdentityTokenCredentialsProvider::builder().configure(config).build();
    let container = EcsCredentialsProvider::builder().configure(config).build();
    let environment = EnvironmentVariableCredentialsProvider::new();
    CredentialsProviderChain::first_try("Environment", environment)
        .or_else("Profile", profile)
        .or_else("WebIdentityToken", token)
        .or_else("EcsContainer", container)
}

// === impl Chain ===

impl Chain {
    /// Reads files and environment anew. Missing credentials are no error here: they may come.
    pub async fn load(&self) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT.min(self.within))
            .operation_attempt_timeout(self.within)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(self.region.clone())
            .http_client(self.http.clone())
            .timeout_config(timeouts)
            // Calls are small; a stalled one ends by its timeout.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if !self.instance {
            let config = ProviderConfig::default()
                .with_region(Some(self.region.clone()))
                .with_http_client(self.http.clone());
            loader = loader.credentials_provider(without_instance(&config));
        }
        loader.load().await
    }

    /// Who gives credentials from now on.
    pub async fn provider(&self) -> Option<SharedCredentialsProvider> {
        let sdk = self.load().await;
        let Some(role) = &self.role else { return sdk.credentials_provider() };
        let session = given(&role.session_name).unwrap_or("tailgate");
        let mut assumed =
            AssumeRoleProvider::builder(&role.arn).session_name(session).configure(&sdk);
        if let Some(id) = given(&role.external_id) {
            assumed = assumed.external_id(id);
        }
        Some(SharedCredentialsProvider::new(assumed.build().await))
    }
}
