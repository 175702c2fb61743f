//! A request, and the requests that can be made of it.

use bytes::Bytes;
use tailgate_proto::view::SpanView;
use tailgate_proto::{Limits, Scan, scan, splice, spliced_len};

use super::limits::EndpointLimits;
use crate::core::outbox::{Loss, Reason};

#[derive(Debug)]
pub struct Request {
    pub body: Bytes,
    /// Which spans it has, as losses to be, in the order in which they are in the body.
    pub parts: Vec<Loss>,
}

// === impl Request ===

impl Request {
    pub fn spans(&self) -> u32 {
        self.parts.iter().map(|part| part.spans).sum()
    }

    /// Two requests in its place; `None` if it is one span, or not as we know it.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let spans = self.spans();
        let found = self.scan().filter(|_| spans >= 2)?;
        let at = self.middle(spans);
        let part = |range: std::ops::Range<u32>| self.pick(&found, &range.collect::<Vec<_>>());
        Some([part(0..at), part(at..spans)])
    }

    /// What an endpoint takes of it at this time, in as few requests as its gap allows; and what it
    /// never takes.
    pub fn within(self, limits: &EndpointLimits, now_ns: u64) -> (Vec<Self>, Vec<Loss>) {
        let Some(found) = self.scan() else { return (vec![self], Vec::new()) };
        let mut good: Vec<(u64, u32)> = Vec::with_capacity(found.spans().len());
        let mut bad: [(Reason, Vec<u32>); 2] =
            [(Reason::TOO_LARGE, Vec::new()), (Reason::TIMESTAMP, Vec::new())];
        for (at, span) in (0..).zip(found.spans()) {
            let bytes = &self.body[span.start as usize..span.end as usize];
            let start = SpanView::new(bytes).start_ns();
            match () {
                () if bytes.len() > limits.span_bytes => bad[0].1.push(at),
                () if !limits.takes(start, now_ns) => bad[1].1.push(at),
                () => good.push((start, at)),
            }
        }
        good.sort_unstable();
        let gap = limits.gap_ns();
        let periods: Vec<&[(u64, u32)]> = periods(&good, gap);
        if let ([_], true) = (&*periods, good.len() == found.spans().len()) {
            return (vec![self], Vec::new());
        }
        let requests = periods.into_iter().map(|period| {
            let mut chosen: Vec<u32> = period.iter().map(|(_, at)| *at).collect();
            chosen.sort_unstable();
            self.pick(&found, &chosen)
        });
        let requests = requests.collect();
        let lost = bad.iter().flat_map(|(reason, at)| {
            self.parts_of(at).into_iter().map(|part| Loss { reason: *reason, ..part })
        });
        (requests, lost.collect())
    }

    /// `None` if it is not as we know it.
    fn scan(&self) -> Option<Scan> {
        let mut found = Scan::default();
        scan(&self.body, &Limits::held(), &mut found).ok()?;
        (found.spans().len() == self.spans() as usize).then_some(found)
    }

    /// A request of these spans, which are in order.
    fn pick(&self, found: &Scan, chosen: &[u32]) -> Self {
        let mut body = Vec::with_capacity(spliced_len(found, chosen));
        splice(&self.body, found, chosen, &mut body);
        Self { body: body.into(), parts: self.parts_of(chosen) }
    }

    /// Where to cut: near the middle, between two traces if there are two.
    fn middle(&self, spans: u32) -> u32 {
        let mut end = 0;
        let ends = self.parts.iter().map(|part| {
            end += part.spans;
            end
        });
        let inside = ends.filter(|end| (1..spans).contains(end));
        inside.min_by_key(|end| end.abs_diff(spans / 2)).unwrap_or(spans / 2)
    }

    /// The parts that these spans are, which are in order.
    fn parts_of(&self, chosen: &[u32]) -> Vec<Loss> {
        let mut parts: Vec<Loss> = Vec::new();
        let mut all = self.parts.iter();
        let (mut part, mut before) = (all.next(), 0);
        for &at in chosen {
            while let Some(this) = part.filter(|part| before + part.spans <= at) {
                before += this.spans;
                part = all.next();
            }
            let Some(part) = part else { break };
            let first = part.first + (at - before);
            match parts.last_mut() {
                Some(last) if last.item == part.item && last.first + last.spans == first => {
                    last.spans += 1;
                }
                _ => parts.push(Loss { first, spans: 1, ..*part }),
            }
        }
        parts
    }
}

/// What is in order of time, in pieces of at most `gap`.
fn periods(spans: &[(u64, u32)], gap: u64) -> Vec<&[(u64, u32)]> {
    let mut found = Vec::new();
    let mut rest = spans;
    while let Some((first, _)) = rest.first() {
        let (period, later) = rest.split_at(rest.partition_point(|(at, _)| at - first <= gap));
        found.push(period);
        rest = later;
    }
    found
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use proptest::prelude::*;
    use prost::Message;

    use super::super::limits::XRAY;
    use super::*;
    use crate::export::tests::{fragment, span};

    const NOW: u64 = 1_700_000_000_000_000_000;
    const HOUR: i64 = 3_600_000_000_000;
    const LIMITS: EndpointLimits = EndpointLimits { span_bytes: 150, ..XRAY };

    /// Where a span is: its item and its place there.
    type Place = (usize, u32);

    fn places(parts: &[Loss]) -> Vec<Place> {
        let all = |part: &Loss| {
            let item = part.item;
            (part.first..part.first + part.spans).map(move |at| (item, at))
        };
        parts.iter().flat_map(all).collect()
    }

    fn spans(body: &Bytes) -> Vec<Span> {
        let request = ExportTraceServiceRequest::decode(body.clone()).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|r| r.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn check(items: &[Vec<(i64, bool)>]) {
        let (mut all, mut body, mut parts) = (BTreeMap::new(), Vec::new(), Vec::new());
        for (item, members) in items.iter().enumerate() {
            let of = |(at, (offset, large)): (usize, &(i64, bool))| Span {
                start_time_unix_nano: NOW.checked_add_signed(*offset).unwrap(),
                ..span(item as u32, at as u32, if *large { "x".repeat(150) } else { "x".into() })
            };
            let members: Vec<Span> = members.iter().enumerate().map(of).collect();
            all.extend((0..).zip(&members).map(|(at, span)| ((item, at), span.clone())));
            let spans = members.len() as u32;
            parts.push(Loss { item, first: 0, spans, reason: Reason::INTERNAL });
            body.extend_from_slice(&fragment(members));
        }
        let (requests, losses) = Request { body: body.into(), parts }.within(&LIMITS, NOW);
        let mut seen = BTreeSet::new();
        for request in &requests {
            let places = places(&request.parts);
            let expected: Vec<Span> = places.iter().map(|place| all[place].clone()).collect();
            assert_eq!(spans(&request.body), expected);
            let starts = || expected.iter().map(|span| span.start_time_unix_nano);
            let gap = starts().max().unwrap() - starts().min().unwrap();
            assert!(gap <= XRAY.gap.as_nanos() as u64, "{gap}");
            assert!(places.into_iter().all(|place| seen.insert(place)), "sent twice");
        }
        for loss in &losses {
            for place in places(&[*loss]) {
                let span = &all[&place];
                let good = LIMITS.takes(span.start_time_unix_nano, NOW);
                let large = span.encoded_len() > LIMITS.span_bytes;
                let reason = if large { Reason::TOO_LARGE } else { Reason::TIMESTAMP };
                assert!(large || !good);
                assert_eq!(loss.reason, reason);
                assert!(seen.insert(place), "lost and sent");
            }
        }
        assert_eq!(seen.len(), all.len(), "each span is sent or lost");
        let good = requests.iter().flat_map(|request| spans(&request.body));
        assert!(good.into_iter().all(|s| LIMITS.takes(s.start_time_unix_nano, NOW)));
    }

    proptest! {
        #[test]
        fn every_span_is_in_one_request_that_is_taken_or_lost(
            items in prop::collection::vec(
                prop::collection::vec((-350 * HOUR..4 * HOUR, prop::bool::weighted(0.1)), 1..12),
                1..8,
            ),
        ) {
            check(&items);
        }
    }

    #[test]
    fn times_at_the_edge_are_taken() {
        let takes = |offset: i64| XRAY.takes(NOW.checked_add_signed(offset).unwrap(), NOW);
        assert!(takes(0) && takes(2 * HOUR) && takes(-14 * 24 * HOUR));
        assert!(!takes(2 * HOUR + 1) && !takes(-14 * 24 * HOUR - 1));
        assert!(!XRAY.takes(0, NOW), "an unset time");
    }

    #[test]
    fn as_few_requests_as_the_gap_allows() {
        let starts = [0, 24, 24, 25, 48, 49, 80].map(|hours| (hours * HOUR as u64, 0));
        let lengths = |gap| periods(&starts, gap).iter().map(|p| p.len()).collect::<Vec<_>>();
        assert_eq!(lengths(24 * HOUR as u64), [3, 3, 1]);
        assert_eq!(lengths(u64::MAX), [7]);
        assert!(periods(&[], 1).is_empty());
    }

    #[test]
    fn what_is_within_all_limits_is_not_touched() {
        let span = |n| Span { start_time_unix_nano: NOW, ..span(1, n, "x") };
        let body = fragment((0..5).map(span).collect());
        let parts = vec![Loss { item: 0, first: 0, spans: 5, reason: Reason::INTERNAL }];
        let request = Request { body: body.clone(), parts };
        let limits = EndpointLimits { gap: Duration::ZERO, ..LIMITS };
        let (requests, losses) = request.within(&limits, NOW);
        assert_eq!((requests.len(), losses.len()), (1, 0));
        assert_eq!(requests[0].body.as_ptr(), body.as_ptr());
    }
}
