#![allow(clippy::unwrap_used)]

use super::*;
use crate::wait::eventually;

const DEADLINE: Duration = Duration::from_secs(20);

/// A client through a proxy, and the other end.
async fn pair() -> (Proxy, TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (proxy, client, server)
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) -> Duration {
    let start = Instant::now();
    from.write_all(b"hello").await.unwrap();
    let mut got = [0; 5];
    tokio::time::timeout(DEADLINE, to.read_exact(&mut got)).await.unwrap().unwrap();
    assert_eq!(&got, b"hello");
    start.elapsed()
}

async fn read(stream: &mut TcpStream) -> io::Result<usize> {
    tokio::time::timeout(DEADLINE, stream.read(&mut [0; 8])).await.unwrap()
}

/// Nothing comes in the time that it takes to be sure of it on a loaded machine.
async fn silent(stream: &mut TcpStream) {
    let read = stream.read_u8();
    assert!(tokio::time::timeout(Duration::from_millis(100), read).await.is_err());
}

#[tokio::test]
async fn bytes_pass_late_slowly_or_when_the_stall_is_over() {
    let (proxy, mut client, mut server) = pair().await;
    passes(&mut client, &mut server).await;
    proxy.set(Direction::Up, Fault::Latency(Duration::from_millis(150)));
    assert!(passes(&mut client, &mut server).await >= Duration::from_millis(150));
    assert!(passes(&mut server, &mut client).await < DEADLINE);
    proxy.set(Direction::Up, Fault::Bandwidth(10));
    assert!(passes(&mut client, &mut server).await >= Duration::from_millis(300));
    proxy.set(Direction::Both, Fault::Stall);
    client.write_all(b"late").await.unwrap();
    silent(&mut server).await;
    proxy.set(Direction::Both, Fault::None);
    let mut got = [0; 4];
    server.read_exact(&mut got).await.unwrap();
    assert_eq!(&got, b"late");
    assert_eq!(proxy.connections(), 1);
}

#[tokio::test]
async fn a_blackhole_swallows_one_way_and_ends_in_a_reset() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.set(Direction::Up, Fault::Blackhole);
    client.write_all(b"gone").await.unwrap();
    silent(&mut server).await;
    passes(&mut server, &mut client).await;
    proxy.set(Direction::Up, Fault::None);
    assert!(read(&mut client).await.is_err());
    eventually("end", DEADLINE, async || proxy.connections() == 0).await.unwrap();
}

#[tokio::test]
async fn a_reset_is_an_error_and_a_half_close_an_end() {
    let (proxy, mut client, mut server) = pair().await;
    proxy.half_close(Direction::Up);
    assert_eq!(read(&mut server).await.unwrap(), 0);
    passes(&mut server, &mut client).await;
    proxy.reset();
    let error = read(&mut client).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn refused_connections_are_reset_and_an_end_is_passed_on() {
    let (proxy, client, mut server) = pair().await;
    drop(client);
    assert_eq!(read(&mut server).await.unwrap(), 0);
    proxy.refuse(true);
    let mut client = TcpStream::connect(proxy.addr()).await.unwrap();
    assert!(read(&mut client).await.is_err());
}
