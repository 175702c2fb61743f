//! The load balancer's decisions, without sockets, clock or runtime: state machines that take an
//! event and the time, and answer with effects.
//!
//! [`Membership`] says which members answer and makes a [`View`] of it; one [`Delivery`] for each
//! request sends its parts to where the view says until all are held or the time is up.

mod delivery;
mod event;
mod membership;
mod part;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod view;

pub use self::delivery::Delivery;
pub use self::event::{Answer, Effect, Event, Outcome, Tally, Timing};
pub use self::membership::{
    Change, Membership, MembershipEvent, MembershipOptions, MembershipState, Tables,
};
pub use self::part::{Transition, Transitions};
pub use self::view::{MemberId, Target, View};
