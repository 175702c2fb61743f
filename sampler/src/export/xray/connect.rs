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
use aws_config::{BehaviorVersion, Region};
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
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(settings.request_timeout))
        .operation_attempt_timeout(settings.request_timeout)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .region(region.clone())
        .http_client(http.clone())
        .timeout_config(timeouts)
        // Calls are small; a stalled one ends by its timeout.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
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
        let mut role = AssumeRoleProvider::builder(role).session_name("tailgate").configure(&sdk);
        if let Some(id) = &settings.external_id {
            role = role.external_id(id);
        }
        config = config.credentials_provider(role.build().await);
    }
    Ok(config.build())
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
pub(super) fn http_client(settings: &XraySettings) -> Result<SharedHttpClient, ExportError> {
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
