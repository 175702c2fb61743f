//! The load balancer against backends on the loopback interface.

mod fake;
mod otlp;
mod peers;
