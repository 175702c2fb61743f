//! From settings to the SDK's configuration: region, credentials, connections.

use std::time::Duration;

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::{
    EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider,
};
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_xray::Config;
use aws_sdk_xray::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};

use super::XraySettings;
use super::unverified::unverified_client;
use crate::export::ExportError;

/// Connections are kept, so this is rarely waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the machine and the container ask for their roles: never through a proxy.
const METADATA: &str =
    "169.254.169.254,169.254.170.2,169.254.170.23,[fd00:ec2::254],[fd00:ec2::23]";

/// A role to be assumed with the credentials of the chain.
pub(in crate::export) struct Role<'a> {
    pub arn: &'a str,
    /// The session's name, if it is not ours.
    pub session: Option<&'a str>,
    pub external_id: Option<&'a str>,
}

fn setting(message: impl Into<String>) -> ExportError {
    ExportError::Setting(message.into())
}

/// Loads region and credentials as the SDKs do. Missing credentials are no error here: they may
/// come.
pub(super) async fn load(
    settings: &XraySettings,
    http: SharedHttpClient,
    credentials: Option<SharedCredentialsProvider>,
) -> Result<Config, ExportError> {
    let Some(region) = region(settings).await else {
        return Err(setting("no region: set `region`, or AWS_REGION"));
    };
    let mut loader = loader(region.clone(), http.clone(), settings.request_timeout);
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    } else if settings.local_mode {
        let config = ProviderConfig::default().with_region(Some(region)).with_http_client(http);
        loader = loader.credentials_provider(without_instance(&config));
    }
    let sdk = loader.load().await;
    let mut config = aws_sdk_xray::config::Builder::from(&sdk);
    config.set_retry_config(Some(RetryConfig::disabled()));
    if let Some(endpoint) = &settings.endpoint {
        config.set_endpoint_url(Some(endpoint.clone()));
    }
    if let Some(role) = &settings.role_arn {
        let role = Role { arn: role, session: None, external_id: settings.external_id.as_deref() };
        config = config.credentials_provider(role.assume(&sdk).await);
    }
    Ok(config.build())
}

/// What all our use of the SDK has in common; credentials are those of its chain.
pub(in crate::export) fn loader(
    region: Region,
    http: SharedHttpClient,
    within: Duration,
) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(within))
        .operation_attempt_timeout(within)
        .build();
    aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region)
        .http_client(http)
        .timeout_config(timeouts)
        // Calls are small; a stalled one ends by its timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

async fn region(settings: &XraySettings) -> Option<Region> {
    let chain = RegionProviderChain::first_try(settings.region.clone().map(Region::new));
    let chain = if settings.local_mode {
        let files = ProfileFileRegionProvider::new();
        chain.or_else(EnvironmentVariableRegionProvider::new()).or_else(files)
    } else {
        chain.or_default_provider()
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

/// All connections of an exporter.
pub(in crate::export) fn http_client(
    settings: &XraySettings,
) -> Result<SharedHttpClient, ExportError> {
    let proxy = match &settings.proxy_address {
        Some(_) if settings.no_verify_ssl => {
            let text = "no_verify_ssl cannot be done with proxy_address: leave one of them out";
            return Err(setting(text));
        }
        Some(proxy) => {
            let fail = |error| setting(format!("proxy_address {proxy:?}: {error}"));
            ProxyConfig::all(proxy.as_str()).map_err(fail)?.no_proxy(METADATA)
        }
        None if settings.no_verify_ssl => return unverified_client(),
        None => ProxyConfig::from_env(),
    };
    let client = Builder::new().build_with_connector_fn(move |connector, parts| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(connector.cloned());
        builder.set_sleep_impl(parts.and_then(|parts| parts.sleep_impl()));
        builder.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build()
    });
    Ok(client)
}

// === impl Role ===

impl Role<'_> {
    /// Asks the STS of the configuration's region, when credentials are needed.
    pub async fn assume(&self, sdk: &SdkConfig) -> AssumeRoleProvider {
        let session = self.session.unwrap_or("tailgate");
        let mut role = AssumeRoleProvider::builder(self.arn).session_name(session).configure(sdk);
        if let Some(id) = self.external_id {
            role = role.external_id(id);
        }
        role.build().await
    }
}
