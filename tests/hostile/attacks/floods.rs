//! HTTP/2's own floods. Sources: CVE-2023-44487 (rapid reset), CVE-2024-27316 (CONTINUATION),
//! CVE-2019-9511 to 9518 (windows, pings, settings, empty frames).

use crate::frames::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, End, HEADERS, PING,
    RST_STREAM, SETTINGS, export_headers, frame,
};
use crate::raw;
use std::net::SocketAddr;
use std::time::Duration;

/// For a server to say that it has had enough.
const ENOUGH: Duration = Duration::from_secs(20);
const MAX_STREAMS: u32 = 128;

fn requests(streams: impl Iterator<Item = u32>, then: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let headers = export_headers(&[]);
    streams.flat_map(|id| [frame(HEADERS, END_HEADERS, id, &headers), then(id)].concat()).collect()
}

/// Requests that are cancelled at once: the connection ends.
pub async fn rapid_reset(addr: SocketAddr) -> End {
    let Ok(mut connection) = Connection::open(addr, &[]).await else { return End::Closed };
    let cancel = |id| frame(RST_STREAM, 0, id, &8u32.to_be_bytes());
    let flood = requests((0..5_000).map(|n| 2 * n + 1), cancel);
    connection.write(&flood, ENOUGH).await;
    connection.end(ENOUGH).await
}

/// A header block without end: the connection ends.
pub async fn continuation(addr: SocketAddr) -> End {
    let Ok(mut connection) = Connection::open(addr, &[]).await else { return End::Closed };
    let piece = [&[0, 4][..], b"many", &[100], &[b'x'; 100]].concat();
    let more = frame(CONTINUATION, 0, 1, &piece);
    let first = frame(HEADERS, 0, 1, &export_headers(&[]));
    connection.write(&[first, more.repeat(20_000)].concat(), ENOUGH).await;
    connection.end(ENOUGH).await
}

/// Headers of 20 KiB: 431, and the connection goes on.
pub async fn large_headers(addr: SocketAddr) {
    let value = "v".repeat(20 << 10);
    let headers = [("content-type", "application/grpc"), ("x-large", value.as_str())];
    let url = format!("http://{addr}{}", tailgate_testkit::EXPORT_PATH);
    let answer = raw::send(http::Method::POST, &url, &headers, raw::frame(false, 0, &[])).await;
    assert_eq!(answer.code, 431);
}

/// SETTINGS, or PINGs, whose answers nobody reads: the server stops reading.
pub async fn control(addr: SocketAddr, time: Duration) -> u64 {
    let mut taken = 0;
    for (kind, payload) in [(SETTINGS, &[0, 3, 0, 0, 0, 100][..]), (PING, &[7; 8])] {
        let Ok(mut connection) = Connection::open(addr, &[]).await else { continue };
        taken += connection.flood(&frame(kind, 0, 0, payload).repeat(1_000), time).await;
    }
    taken
}

/// A body of bytes that come one by one, and frames of none.
pub async fn tiny_data(addr: SocketAddr, time: Duration) -> u64 {
    let mut taken = 0;
    for data in [&b"x"[..], b""] {
        let Ok(mut connection) = Connection::open(addr, &[]).await else { continue };
        let begin = |id| frame(DATA, 0, id, &raw::frame(false, 4_000_000, &[]));
        connection.write(&requests(std::iter::once(1), begin), time).await;
        taken += connection.flood(&frame(DATA, 0, 1, data).repeat(1_000), time).await;
    }
    taken
}

/// As many requests as there may be, all good, from a client that never opens a window for their
/// answers; it stays for `time`.
pub async fn no_window(addr: SocketAddr, message: &[u8], time: Duration) {
    let initial_window = (4, 0);
    let Ok(mut connection) = Connection::open(addr, &[initial_window]).await else { return };
    let body = |id| frame(DATA, END_STREAM, id, &raw::frame(false, message.len(), message));
    let all = requests((0..MAX_STREAMS).map(|n| 2 * n + 1), body);
    connection.write(&all, time).await;
    connection.end(time).await;
}

/// Whether a flood ended as it should.
pub fn is_calmed(end: End) -> bool {
    matches!(end, End::GoneAway(ENHANCE_YOUR_CALM) | End::Closed)
}
