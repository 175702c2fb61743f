//! AWS: where its services are, who we are to it, and signatures that say so.
//!
//! The SDK finds regions, endpoints and credentials, and signs. Requests go over our own client:
//! the SDK's way of making one took more than a third of what a document cost.

mod chain;
mod http;
mod keeper;
mod sigv4;
mod unverified;

pub(super) use self::chain::{Chain, region};
pub(super) use self::http::http_client;
pub(super) use self::keeper::Source;
pub use self::sigv4::SigV4Signer;
