//! Requests that are signed, and how much goes into one.

use super::{http_settings, request};
use http::{HeaderMap, StatusCode, Uri};
use std::sync::Arc;
use std::sync::Mutex;
use tailgate_common::client::{
    ClientSettings, Compression, HttpSettings, OtlpHttpClient, Signed, Signer, Stamp,
};
use tailgate_testkit::sink::{Behaviour, Sink};

/// Signs with what is next, or cannot.
#[derive(Default)]
struct Pen {
    stamps: Mutex<Vec<Result<Stamp, String>>>,
    /// URL, headers and length of what was signed.
    signed: Mutex<Vec<(String, HeaderMap, usize)>>,
    refused: Mutex<Vec<Stamp>>,
}

impl Signer for Pen {
    fn sign<'a>(&'a self, url: &'a Uri, headers: &'a mut HeaderMap, body: &'a [u8]) -> Signed<'a> {
        Box::pin(async move {
            let stamp = self.stamps.lock().unwrap().remove(0)?;
            self.signed.lock().unwrap().push((url.to_string(), headers.clone(), body.len()));
            headers.insert("authorization", stamp.into());
            Ok(stamp)
        })
    }

    fn refused(&self, stamp: Stamp) {
        self.refused.lock().unwrap().push(stamp);
    }
}

async fn signing(pen: &Arc<Pen>) -> (Sink, OtlpHttpClient) {
    let sink = Sink::local().await.unwrap();
    let client = ClientSettings {
        compression: Compression::Gzip,
        headers: vec![("x-team".to_owned(), "shop".to_owned())],
        ..ClientSettings::new(format!("http://{}/v1/traces", sink.addr()))
    };
    let settings = HttpSettings { signer: Some(pen.clone()), ..http_settings(client) };
    (sink, OtlpHttpClient::new(settings).unwrap())
}

#[tokio::test]
async fn what_is_sent_is_signed_after_all_else() {
    let pen = Arc::new(Pen::default());
    let (sink, client) = signing(&pen).await;
    pen.stamps.lock().unwrap().extend([Ok(7), Err("no ink".to_owned()), Ok(8), Ok(9)]);
    client.export(request()).await.unwrap();
    let (url, headers, bytes) = pen.signed.lock().unwrap()[0].clone();
    assert_eq!(url, format!("http://{}/v1/traces", sink.addr()));
    let seen = &sink.requests()[0];
    assert_eq!(seen.headers["authorization"], "7");
    assert_eq!(seen.headers["content-length"], bytes.to_string().as_str(), "as it is sent");
    assert!(bytes < request().len());
    for name in ["content-type", "content-encoding", "x-team", "user-agent"] {
        assert_eq!(headers[name], seen.headers[name], "{name}");
    }
    let error = client.export(request()).await.unwrap_err();
    assert!(error.retryable && error.message.contains("no ink"), "{error}");
    assert_eq!(sink.requests().len(), 1, "what is not signed is not sent");
    sink.behave(Behaviour::Status(StatusCode::FORBIDDEN, None));
    assert!(client.export(request()).await.unwrap_err().is_denied());
    sink.behave(Behaviour::Status(StatusCode::SERVICE_UNAVAILABLE, None));
    client.export(request()).await.unwrap_err();
    assert_eq!(*pen.refused.lock().unwrap(), [8]);
}

#[tokio::test]
async fn what_is_more_than_the_server_takes_is_not_sent() {
    let sink = Sink::local().await.unwrap();
    let body = request();
    for (json, most, sent) in
        [(false, body.len(), true), (false, body.len() - 1, false), (true, body.len(), false)]
    {
        let url = format!("http://{}/v1/traces", sink.addr());
        let client = ClientSettings { compression: Compression::Gzip, ..ClientSettings::new(url) };
        let settings = HttpSettings { json, max_body: Some(most), ..http_settings(client) };
        let answer = OtlpHttpClient::new(settings).unwrap().export(body.clone()).await;
        let too_large = answer.as_ref().is_err_and(|error| error.too_large && !error.retryable);
        assert_eq!((answer.is_ok(), too_large), (sent, !sent), "{answer:?}");
    }
    assert_eq!(sink.requests().len(), 1);
}
