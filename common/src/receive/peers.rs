//! Connections by the address they come from, so that one address cannot take all places.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Open connections of each address; as many entries as connections at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Peers(Arc<Mutex<HashMap<IpAddr, u64>>>);

/// One connection's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    peers: Peers,
    peer: IpAddr,
}

// === impl Peers ===

impl Peers {
    /// A place for a connection from `peer`; `None` if `most` are taken.
    pub fn place(&self, peer: IpAddr, most: u64) -> Option<Place> {
        let peer = network(peer);
        let mut counts = self.0.lock();
        let count = counts.entry(peer).or_default();
        if *count >= most {
            if *count == 0 {
                counts.remove(&peer);
            }
            return None;
        }
        *count += 1;
        Some(Place { peers: self.clone(), peer })
    }
}

/// What one client can choose its addresses from.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.peers.0.lock();
        if let Some(count) = counts.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn places_are_counted_by_network_and_given_back() {
        let peers = Peers::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = peers.place(ip("10.0.0.1"), 2).unwrap();
        let second = peers.place(ip("::ffff:10.0.0.1"), 2).unwrap();
        assert!(peers.place(ip("10.0.0.1"), 2).is_none());
        let other = peers.place(ip("10.0.0.2"), 2).unwrap();
        drop(first);
        let third = peers.place(ip("10.0.0.1"), 2).unwrap();
        let six = peers.place(ip("2001:db8::1"), 1).unwrap();
        assert!(peers.place(ip("2001:db8::2:1"), 1).is_none());
        assert!(peers.place(ip("2001:db8:0:1::1"), 0).is_none());
        drop((second, other, third, six));
        assert!(peers.0.lock().is_empty());
    }
}
