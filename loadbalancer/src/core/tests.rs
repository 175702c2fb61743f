//! Single steps that the simulation only meets by chance.

use std::sync::Arc;
use std::time::Duration;

use tailgate_common::clock::Nanos;

use super::*;

const ATTEMPT: Duration = Duration::from_secs(2);

fn membership(names: &[&str]) -> Membership {
    let options = MembershipOptions {
        silent_after: Duration::from_secs(3),
        eject_after: Duration::from_secs(30),
        deputies: true,
    };
    let mut membership = Membership::new(options, Tables::default());
    let names: Vec<Arc<str>> = names.iter().map(|name| (*name).into()).collect();
    membership.step(Nanos(0), MembershipEvent::Set(names));
    membership
}

/// A request of three spans of one slot whose owner has not answered in time, so that the deputy
/// is asked; and the view.
fn with_deputy(membership: &mut Membership) -> (Delivery, View, Target) {
    let (mut delivery, view, mut effects) = (Delivery::default(), membership.view(), Vec::new());
    let timing = Timing { attempt: ATTEMPT, ..Timing::default() };
    delivery.begin([7, 7, 7], timing, Nanos(0) + ATTEMPT * 4, 1);
    delivery.step(Nanos(0), &view, Event::Start, &mut effects);
    delivery.step(Nanos(0) + ATTEMPT, &view, Event::Tick, &mut effects);
    let [Effect::Send { attempt: 0, target, .. }, Effect::Send { attempt: 1, target: deputy, .. }] =
        effects[..]
    else {
        panic!("{effects:?}")
    };
    assert_eq!(deputy.deputy_of, Some(target.to));
    (delivery, view, target)
}

fn outcome(attempt: u32, outcome: Outcome) -> Event {
    Event::Outcome { attempt, outcome }
}

#[test]
fn an_owner_that_answers_late_holds_the_part() {
    let (mut delivery, view, _) = with_deputy(&mut membership(&["a", "b"]));
    let mut effects = Vec::new();
    let late = outcome(0, Outcome::Held { rejected: 1 });
    delivery.step(Nanos(0) + ATTEMPT, &view, late, &mut effects);
    assert_eq!(effects, [Effect::Answer(Answer::Held { rejected: 1 })]);
    assert_eq!((delivery.tally().held, delivery.tally().rejected), (2, 1));
    assert_eq!(delivery.transitions().of(Transition::HeldLate), 1);
}

#[test]
fn late_refusals_and_late_answers_of_who_left_mean_nothing() {
    let mut members = membership(&["a", "b", "c"]);
    let (mut delivery, view, owner) = with_deputy(&mut members);
    let mut effects = Vec::new();
    let refused = outcome(0, Outcome::Refused { retry_after: None });
    delivery.step(Nanos(0) + ATTEMPT, &view, refused, &mut effects);
    assert_eq!((effects.len(), delivery.transitions().of(Transition::Stale)), (0, 1));
    let name = members.members().find(|(_, id, _)| *id == owner.to).map(|(name, ..)| name.clone());
    let stay =
        members.members().map(|(other, ..)| other.clone()).filter(|n| Some(n) != name.as_ref());
    let stay = stay.collect();
    members.step(Nanos(0) + ATTEMPT, MembershipEvent::Set(stay));
    let late = outcome(0, Outcome::Held { rejected: 0 });
    delivery.step(Nanos(0) + ATTEMPT, &members.view(), late, &mut effects);
    let again =
        matches!(effects[..], [Effect::Send { attempt: 2, target, .. }] if target.to != owner.to);
    assert!(again, "{effects:?}");
}
