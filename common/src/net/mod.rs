//! Sockets and TLS: what every listener and connector of the process shares.

mod listen;
mod read_ahead;
mod socket;
pub mod tls;
mod write_limit;

pub use self::listen::{BindError, Listener};
pub use self::read_ahead::ReadAhead;
pub use self::socket::{Door, Socket, UnixDoor};
pub use self::write_limit::WriteLimit;
