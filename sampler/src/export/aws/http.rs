//! How the SDK reaches STS and metadata services.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tailgate_common::config::Secret;

use super::unverified::unverified_client;
use crate::export::ExportError;

/// Where the machine and the container ask for their roles: never through a proxy.
const METADATA: &str =
    "169.254.169.254,169.254.170.2,169.254.170.23,[fd00:ec2::254],[fd00:ec2::23]";

/// A client for the SDK: through this proxy; if it is empty, as the environment says. If not
/// `verify`, with any certificate, and without a proxy.
pub fn http_client(proxy: &Secret, verify: bool) -> Result<SharedHttpClient, ExportError> {
    if !verify {
        return unverified_client();
    }
    let proxy = match proxy.expose() {
        "" => ProxyConfig::from_env(),
        proxy => {
            // The URL may have a password in it.
            let fail = |_| ExportError::Setting("proxy_address is not a URL".to_owned());
            ProxyConfig::all(proxy).map_err(fail)?.no_proxy(METADATA)
        }
    };
    let client = Builder::new().build_with_connector_fn(move |connector, parts| {
        let mut builder = Connector::builder().proxy_config(proxy.clone());
        builder.set_connector_settings(connector.cloned());
        builder.set_sleep_impl(parts.and_then(|parts| parts.sleep_impl()));
        builder.tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc)).build()
    });
    Ok(client)
}
