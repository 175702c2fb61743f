#![allow(clippy::unwrap_used)]
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::TraceId;

fn bytes() -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..200).prop_map(Bytes::from)
}

fn reason() -> impl Strategy<Value = String> {
    "[ -~\u{e9}]{0,40}"
}

fn name() -> impl Strategy<Value = std::sync::Arc<str>> {
    "[a-z0-9.-]{0,40}".prop_map(|name| name.as_str().into())
}

fn entry() -> impl Strategy<Value = Entry> {
    (any::<[u8; 16]>(), any::<u64>(), any::<u32>(), bytes()).prop_map(|(id, age_ms, spans, b)| {
        Entry { trace_id: TraceId(id), age_ms, spans, fragment: b }
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let role = prop_oneof![Just(Role::LoadBalancer), Just(Role::Sampler)];
    let mode =
        prop_oneof![Just(Mode::Owner), name().prop_map(|owner| Mode::Deputy { owner }).boxed()];
    prop_oneof![
        (role, name(), any::<u64>(), any::<[u8; 32]>()).prop_map(|(role, name, digest, nonce)| {
            Frame::Hello(Hello { role, name, digest, nonce })
        }),
        any::<[u8; 32]>().prop_map(Frame::Proof),
        reason().prop_map(Frame::Error),
        (any::<u64>(), mode, any::<u32>(), bytes()).prop_map(|(id, mode, spans, fragment)| {
            Frame::Deliver(id, Deliver { mode, spans, fragment })
        }),
        (any::<u64>(), any::<[u32; 4]>(), reason()).prop_map(|(id, n, reason)| {
            let [held, refused, rejected, retry_after_ms] = n;
            let result = DeliverResult { held, refused, rejected, retry_after_ms, reason };
            Frame::DeliverResult(id, result)
        }),
        (any::<u64>(), vec(entry(), 0..5)).prop_map(|(id, entries)| Frame::GiveBack(id, entries)),
        (any::<u64>(), any::<u32>(), any::<u32>(), reason()).prop_map(|(id, taken, ms, reason)| {
            Frame::GiveBackResult(id, GiveBackResult { taken, retry_after_ms: ms, reason })
        }),
        any::<u64>().prop_map(Frame::Ping),
        any::<u64>().prop_map(Frame::Pong),
        Just(Frame::Goodbye),
    ]
}

fn encode(frame: &Frame) -> Vec<u8> {
    let mut out = Vec::new();
    let payload = frame.encode(&mut out).unwrap();
    out.extend_from_slice(payload.map_or(&[], |bytes| &bytes[..]));
    out
}

fn decode(bytes: &[u8]) -> Result<Frame, FrameError> {
    let (head, body) = bytes.split_first_chunk().ok_or(FrameError::Truncated)?;
    let header = Header::decode(head, MAX_BODY)?;
    Frame::decode(&header, Bytes::copy_from_slice(body))
}

proptest! {
    #[test]
    fn what_is_encoded_comes_back(frame in frame()) {
        let bytes = encode(&frame);
        let header = Header::decode(bytes.first_chunk().unwrap(), MAX_BODY).unwrap();
        prop_assert_eq!(header.len as usize, bytes.len() - HEADER_LEN);
        prop_assert_eq!(decode(&bytes).unwrap(), frame);
    }

    #[test]
    fn truncated_frames_are_errors(frame in frame(), cut in any::<prop::sample::Index>()) {
        let bytes = encode(&frame);
        let at = cut.index(bytes.len());
        // A fragment has no length of its own: the header's length covers it.
        let open = matches!(&frame, Frame::Deliver(_, d) if at >= bytes.len() - d.fragment.len());
        prop_assert!(open || decode(&bytes[..at]).is_err());
    }

    #[test]
    fn any_bytes_are_a_frame_or_an_error(kind in 0u8..12, body in vec(any::<u8>(), 0..300)) {
        let mut bytes = vec![0; HEADER_LEN];
        bytes[4] = kind;
        bytes[16] = 0xff;
        bytes[17] = 0xff;
        bytes[18] = 0xff;
        bytes.extend(body);
        let _ = decode(&bytes);
    }
}

#[test]
fn limits_and_reserved_bytes_are_checked() {
    let mut bytes = encode(&Frame::Ping(1));
    let head = |bytes: &[u8]| *bytes.first_chunk::<HEADER_LEN>().unwrap();
    let too_large = Header::decode(&head(&bytes), 7);
    assert_eq!(too_large, Err(FrameError::TooLarge { len: 8, limit: 7 }));
    bytes[6] = 1;
    assert_eq!(Header::decode(&head(&bytes), 8), Err(FrameError::Reserved));
    bytes[4] = 99;
    assert_eq!(Header::decode(&head(&bytes), 8), Err(FrameError::UnknownKind(99)));
}

#[test]
fn a_body_above_the_limit_is_not_encoded() {
    let fragment = Bytes::from(vec![0; MAX_BODY]);
    let frame = Frame::Deliver(1, Deliver { mode: Mode::Owner, spans: 1, fragment });
    let mut out = vec![7];
    let error = frame.encode(&mut out).unwrap_err();
    assert_eq!(error, FrameError::TooLarge { len: MAX_BODY + 1, limit: MAX_BODY });
    assert_eq!(out, [7]);
}

#[test]
fn another_version_is_named() {
    let hello = Hello { role: Role::Sampler, name: "s".into(), digest: 0, nonce: [0; 32] };
    let mut bytes = encode(&Frame::Hello(hello));
    bytes[HEADER_LEN + 4] = 9;
    assert_eq!(decode(&bytes), Err(FrameError::Version { theirs: 9 }));
    bytes[HEADER_LEN] = b'x';
    assert_eq!(decode(&bytes), Err(FrameError::Magic));
}

#[test]
fn long_reasons_are_cut_at_a_character() {
    let frame = Frame::Error("\u{e9}".repeat(MAX_REASON));
    let Frame::Error(reason) = decode(&encode(&frame)).unwrap() else { panic!("not an error") };
    assert_eq!(reason, "\u{e9}".repeat(MAX_REASON / 2));
}

#[test]
fn proofs_differ_by_direction_and_split() {
    let inputs = [
        proof_input(true, b"ab", b"c"),
        proof_input(false, b"ab", b"c"),
        proof_input(true, b"a", b"bc"),
    ];
    assert!(inputs[0] != inputs[1] && inputs[0] != inputs[2]);
}
