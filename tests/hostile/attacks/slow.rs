//! Clients that take their time, or their answers never.

use crate::rig::Target;
use futures_util::future::join_all;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const HEAD: &str = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
                    content-length: 100000\r\n\r\n";
/// The limits are 5 s; the machine may be busy.
const LATEST: Duration = Duration::from_secs(25);

/// What a server says to a client that writes a byte of `text` at a time, until it is closed. The
/// client of number `n` connects after as many milliseconds: the kernel's queue is not the target.
async fn trickle(n: usize, addr: SocketAddr, at_once: &str, text: &str) -> (Duration, String) {
    sleep(Duration::from_millis(n as u64)).await;
    // The server's clock starts when it accepts.
    let begun = Instant::now();
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(at_once.as_bytes()).await.unwrap();
    let (mut from, mut to) = stream.split();
    let mut answer = Vec::new();
    let write = async {
        for byte in text.as_bytes().iter().cycle() {
            if to.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
        std::future::pending::<()>().await;
    };
    let both = async {
        tokio::select! {
            // A reset is an end, too.
            _ = from.read_to_end(&mut answer) => {}
            () = write => {}
        }
    };
    timeout(LATEST, both).await.unwrap();
    (begun.elapsed(), String::from_utf8_lossy(&answer).into_owned())
}

/// Heads that never end: closed after `header_timeout`, 5 s.
pub async fn heads(target: Target, sockets: usize) {
    let all = (0..sockets).map(|n| trickle(n, target.http, "POST /v1/traces HTTP/1.1\r\nx: ", "y"));
    for (after, answer) in join_all(all).await {
        assert!(after >= Duration::from_secs(4) && answer.is_empty(), "{after:?} {answer}");
    }
}

/// Bodies of less than 1 KiB a second: refused after a grace of 5 s.
pub async fn bodies(target: Target, sockets: usize) {
    let all = (0..sockets).map(|n| trickle(n, target.http, HEAD, "z"));
    for (after, answer) in join_all(all).await {
        let slow = answer.contains("the request's body came with less than 1024 bytes/s: ");
        let busy = answer.starts_with("HTTP/1.1 503 ");
        assert!(busy || slow && answer.starts_with("HTTP/1.1 408 "), "{after:?} {answer}");
    }
}

/// Connections that say nothing, or half of HTTP/2's preface: closed after 5 s.
pub async fn silent(target: Target, sockets: usize) {
    let one = async |addr, text: &[u8]| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(text).await.unwrap();
        let mut answer = Vec::new();
        timeout(LATEST, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        assert!(answer.is_empty());
    };
    let doors = [target.grpc, target.http];
    let all = (0..sockets).map(|n| one(doors[n % 2], if n % 4 < 2 { b"" } else { b"PRI * H" }));
    join_all(all).await;
}

/// Clients that ask and ask, and read no answer, for `time`: the server stops reading them.
pub async fn deaf(target: Target, sockets: usize, time: Duration) {
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(100);
    let one = async || {
        let mut stream = TcpStream::connect(target.http).await.unwrap();
        let write = async { while stream.write_all(requests.as_bytes()).await.is_ok() {} };
        // Stuck or closed.
        let _ = timeout(time, write).await;
    };
    join_all((0..sockets).map(|_| one())).await;
}

/// What is no TLS, where that is spoken; and a handshake that does not go on.
pub async fn no_tls(addr: SocketAddr) {
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    // An alert at most.
    noise(addr, hello, 64).await;
}

/// Noise, and what would be a beginning: closed, with an answer below `most` bytes.
async fn noise(addr: SocketAddr, beginning: &[u8], most: usize) {
    let one = async |noise: &[u8]| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = stream.write_all(noise).await;
        let _ = timeout(LATEST, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.len() < most && !answer.starts_with(b"HTTP"), "{answer:?}");
    };
    let all = [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 70_000], &[0; 64], beginning];
    join_all(all.map(one)).await;
}

/// What is no peer, at the door between the tiers.
pub async fn no_peer(addr: SocketAddr) {
    let hello = [1024u32.to_le_bytes(), [1, 0, 0, 0], [0; 4], [0; 4], [0; 4]].concat();
    noise(addr, &hello, 600).await;
}
