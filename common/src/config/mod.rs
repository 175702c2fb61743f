//! The configuration language: the collector's, read strictly.
//!
//! [`Input`] turns a file into a tree that knows every value's place, with variables expanded.
//! [`Document`] reads the frame: which components there are and which pipelines join them. What a
//! component's block means is read by [`Reader`]s: here for what both tiers have ([`Shared`]), in
//! the tiers for what is theirs. Readers collect errors, so that all come at once; what is
//! accepted and does less than it says is a [`Note`].
//!
//! Results are plain structs with the collector's defaults filled in.

mod auth;
mod client;
mod component;
mod connections;
mod document;
mod duration;
mod endpoint;
mod env;
mod error;
mod health;
mod http_client;
mod input;
mod item;
mod known;
mod memory;
mod merge;
mod moved;
mod pipeline;
mod queue;
mod reader;
mod receiver;
mod scalar;
mod secret;
mod shared;
mod shown;
mod sigv4;
mod source;
mod standing;
mod suggest;
mod tailgate;
mod telemetry;
mod tls;
mod tree;
mod wrapper;

#[cfg(test)]
mod tests;

pub use auth::{AuthRef, Authenticator, Referrer};
pub use client::OtlpClient;
pub use component::{Component, ComponentId, Reference, Section, is_load_balancing};
pub use connections::{Cors, GrpcKeepalive, HttpConnections};
pub use document::{Document, detect_tiers};
pub use duration::parse as parse_duration;
pub use endpoint::is_host_port;
pub use env::Env;
pub use error::{Asked, ConfigError, ConfigErrors, Diag, Note, Usage};
pub use health::HealthCheck;
pub use http_client::{OtlpHttpClient, read_proxy};
pub use input::Input;
pub use item::Item;
pub use known::{Answer, Known, known};
pub use memory::{MemoryLimiter, total_memory};
pub use pipeline::{Pipeline, Tier};
pub use queue::{Batch, Queue, Sizer};
pub use reader::Reader;
pub use receiver::{GrpcServer, HttpServer, OtlpReceiver};
pub use secret::{Secret, SecretSource};
pub use shared::{Named, Shared, in_order, named};
pub use shown::Shown;
pub use sigv4::{AssumeRole, Scope, SigV4};
pub use source::{Mark, Source};
pub use suggest::nearest;
pub use tailgate::{Admin, Internal, InternalTls, Member, MetricsNaming, Tailgate};
pub use telemetry::{
    LogEncoding, LogLevel, LogOutput, LogSampling, Logs, Metrics, MetricsLevel, PullReader, Select,
    Telemetry,
};
pub use tls::{ClientTls, ServerTls, TlsTerms, TlsVersion};
pub use tree::{Entry, Node, Value};

pub use crate::client::Compression;
