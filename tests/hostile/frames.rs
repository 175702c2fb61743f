//! HTTP/2 frame by frame, as no library would write it.
//!
//! Sources of the layouts: RFC 9113, section 4 and 6; RFC 7541, appendix A.

use std::net::SocketAddr;
use std::time::Duration;
use tailgate_testkit::EXPORT_PATH;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// How a connection ended for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// GOAWAY with this code.
    GoneAway(u32),
    /// Without a word.
    Closed,
    /// Not within the time that was given.
    Open,
}

/// The code of GOAWAY for floods.
pub const ENHANCE_YOUR_CALM: u32 = 11;

/// A connection after its preface.
pub struct Connection {
    stream: TcpStream,
}

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u32).to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of an export request, and more headers of 7-bit lengths behind it.
pub fn export_headers(more: &[(&str, &str)]) -> Vec<u8> {
    // POST, http; then literals without indexing: :path, :authority, content-type, te.
    let mut block = vec![0x83, 0x86];
    let mut literal = |name: &[u8], value: &str| {
        block.extend_from_slice(name);
        block.push(value.len() as u8);
        block.extend_from_slice(value.as_bytes());
    };
    literal(&[0x04], EXPORT_PATH);
    literal(&[0x01], "localhost");
    literal(&[0x0f, 0x10], "application/grpc");
    literal(b"\x00\x02te", "trailers");
    for (name, value) in more {
        literal(&[&[0, name.len() as u8], name.as_bytes()].concat(), value);
    }
    block
}

impl Connection {
    /// Connects, with these settings (pairs of identifier and value).
    pub async fn open(addr: SocketAddr, settings: &[(u16, u32)]) -> std::io::Result<Self> {
        let mut stream = TcpStream::connect(addr).await?;
        let pair =
            |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let payload: Vec<u8> = settings.iter().flat_map(pair).collect();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        stream.write_all(&[preface, frame(SETTINGS, 0, 0, &payload)].concat()).await?;
        Ok(Self { stream })
    }

    /// Writes these bytes, for at most `time`: stuck or refused, they were enough.
    pub async fn write(&mut self, bytes: &[u8], time: Duration) {
        let _ = timeout(time, self.stream.write_all(bytes)).await;
    }

    /// Writes these bytes again and again for at most `time`, reading nothing; how many times the
    /// peer took them.
    pub async fn flood(&mut self, bytes: &[u8], time: Duration) -> u64 {
        let mut times = 0;
        let write = async {
            while self.stream.write_all(bytes).await.is_ok() {
                times += 1;
            }
        };
        // Stuck or refused, the flood is over.
        let _ = timeout(time, write).await;
        times
    }

    /// Reads until the peer ends it, for at most `time`.
    pub async fn end(&mut self, time: Duration) -> End {
        let mut last = End::Open;
        let read = async {
            loop {
                let mut head = [0; 9];
                if self.stream.read_exact(&mut head).await.is_err() {
                    break;
                }
                let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                let mut payload = vec![0; len];
                if self.stream.read_exact(&mut payload).await.is_err() {
                    break;
                }
                if head[3] == GOAWAY
                    && let Some(code) = payload.get(4..8).and_then(|c| c.try_into().ok())
                {
                    last = End::GoneAway(u32::from_be_bytes(code));
                }
            }
            if last == End::Open {
                last = End::Closed;
            }
        };
        let _ = timeout(time, read).await;
        last
    }
}
