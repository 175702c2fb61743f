//! How the SDK reaches STS and metadata services.

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::{Builder, Connector, tls};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tailgate_common::config::Secret;

use super::unverified::unverified_client;
use crate::export::ExportError;

/// Where the machine and the container ask for their roles, perhaps of a process beside: never
/// through a configured proxy. The environment has `NO_PROXY` for them, as with the SDKs.
const METADATA: &str = "169.254.169.254,169.254.170.2,169.254.170.23,fd00:ec2::254,fd00:ec2::23,\
                        localhost,127.0.0.0/8,::1";

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
            let scheme = if proxy.contains("://") { "" } else { "http://" };
            ProxyConfig::all(format!("{scheme}{proxy}")).map_err(fail)?.no_proxy(METADATA)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::Uri;
    use hyper_util::client::proxy::matcher::Matcher;
    use tailgate_common::client::Proxy;

    use super::*;

    #[test]
    fn metadata_are_asked_for_directly() {
        // What the SDK's client makes of a proxy and its exceptions.
        let proxy = Matcher::builder().all("http://proxy:3128").no(METADATA).build();
        let is_proxied = |url: &str| proxy.intercept(&url.parse::<Uri>().unwrap()).is_some();
        for host in ["169.254.169.254", "169.254.170.2", "169.254.170.23"] {
            assert!(!is_proxied(&format!("http://{host}/latest")), "{host}");
        }
        for host in
            ["localhost:9911", "127.0.0.1:9911", "[::1]:9911", "[fd00:ec2::254]", "[fd00:ec2::23]"]
        {
            assert!(!is_proxied(&format!("http://{host}/v1/credentials")), "{host}");
        }
        assert!(is_proxied("https://sts.eu-west-1.amazonaws.com/"));
    }

    #[test]
    fn the_sdk_takes_what_our_own_client_takes() {
        for proxy in ["proxy:3128", "http://proxy:3128", "http://user:p%40ss@proxy:3128/"] {
            assert!(Proxy::from_url(proxy, "proxy_address").is_ok(), "{proxy}");
            assert!(http_client(&Secret::new(proxy), true).is_ok(), "{proxy}");
        }
    }
}
