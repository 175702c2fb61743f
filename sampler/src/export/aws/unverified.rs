//! `no_verify_ssl`: connections that take any certificate. The SDK's own client cannot do it.

use std::fmt;

use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tailgate_common::config::ClientTls;
use tailgate_common::net::tls::client_config;

use crate::export::ExportError;

#[derive(Clone)]
struct Unverified(Client<HttpsConnector<Tcp>, SdkBody>);

/// A client that asks nobody for a certificate.
pub(super) fn unverified_client() -> Result<SharedHttpClient, ExportError> {
    let files = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    let fail = |error| ExportError::Setting(format!("no_verify_ssl: {error}"));
    let tls = client_config(&files, &[]).map_err(fail)?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls.current().as_ref().clone())
        .https_or_http()
        .enable_http1()
        .build();
    let pool = TokioTimer::new();
    let client = Client::builder(TokioExecutor::new()).pool_timer(pool).build(connector);
    let connector = SharedHttpConnector::new(Unverified(client));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

impl HttpConnector for Unverified {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let request = match request.try_into_http1x() {
            Ok(request) => request,
            Err(error) => {
                return HttpConnectorFuture::ready(Err(ConnectorError::user(error.into())));
            }
        };
        let answer = self.0.request(request);
        HttpConnectorFuture::new(async move {
            let response = answer.await.map_err(|error| ConnectorError::io(error.into()))?;
            HttpResponse::try_from(response.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified")
    }
}
