//! Requests whose headers say, by a signature over all of them, who sends them.

use http::{HeaderMap, Uri};
use std::future::Future;
use std::pin::Pin;

/// Which credentials a request was signed with.
pub type Stamp = u64;

/// What comes of signing; an error is why there are no credentials.
pub type Signed<'a> = Pin<Box<dyn Future<Output = Result<Stamp, String>> + Send + 'a>>;

/// Signs requests, each just before it is sent.
pub trait Signer: Send + Sync + 'static {
    /// Adds a signature over a POST of `body`, as it is sent, and over all `headers`.
    fn sign<'a>(&'a self, url: &'a Uri, headers: &'a mut HeaderMap, body: &'a [u8]) -> Signed<'a>;

    /// These credentials were not accepted: others are looked for, unless they have been already.
    fn refused(&self, stamp: Stamp);
}
