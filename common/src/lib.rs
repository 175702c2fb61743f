//! What both tiers share.
//!
//! OTLP in ([`receive`], on [`net`]) and out ([`client`]); the internal protocol between the tiers ([`peer`]) and who
//! owns which trace ([`ownership`]); the byte budget ([`limit`]), the clock seam ([`clock`]), [`chance`] and
//! [`retry`]; the configuration language ([`config`]); the [`ledger`] and what else is seen from outside
//! ([`telemetry`]).

pub mod auth;
pub mod chance;
pub mod client;
pub mod clock;
pub mod config;
pub mod ledger;
pub mod limit;
pub mod net;
pub mod ownership;
pub mod peer;
pub mod receive;
pub mod reload;
pub mod retry;
pub mod telemetry;
