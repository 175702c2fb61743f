//! Sockets and TLS: what every listener and connector of the process shares.

mod listen;
mod read_ahead;
pub mod tls;

pub use self::listen::{BindError, Listener};
pub use self::read_ahead::ReadAhead;
