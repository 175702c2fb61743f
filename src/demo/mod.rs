//! `tailgate demo`: both tiers on one machine with the traffic of a small shop and an embedded
//! X-Ray endpoint. Endpoint and shop are libraries of their own, which the tests use too.

pub mod metrics;
pub mod run;
pub mod shop;
pub mod traffic;
pub mod xray;

pub use run::{Options, Ports, run};
