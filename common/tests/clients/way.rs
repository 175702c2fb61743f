//! What stands between a client and a backend: a proxy that records, and the end of TLS.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tailgate_common::config::{self, SecretSource};
use tailgate_common::net::tls::{ClientTls, client_config};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A proxy to one backend, whatever it is asked for. Ends when dropped.
pub struct TestProxy {
    pub addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

/// Takes TLS off; ends when dropped.
pub struct TlsEnd {
    pub addr: SocketAddr,
    dir: TempDir,
    task: JoinHandle<()>,
}

/// The name in the certificate, which no resolver knows.
pub const NAME: &str = "gateway.test";

impl TestProxy {
    /// With `answer`, every CONNECT is refused with it.
    pub async fn start(to: SocketAddr, answer: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let record = heads.clone();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(pass(stream, to, answer, record.clone()));
            }
        });
        Self { addr, heads, task }
    }

    /// The first head of each connection.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(
    mut stream: TcpStream,
    to: SocketAddr,
    answer: Option<&str>,
    record: Arc<Mutex<Vec<String>>>,
) -> Option<()> {
    let mut read = Vec::new();
    let end = loop {
        let mut byte = [0; 1];
        stream.read_exact(&mut byte).await.ok()?;
        read.push(byte[0]);
        if read.ends_with(b"\r\n\r\n") {
            break read.len();
        }
    };
    let head = String::from_utf8_lossy(&read[..end]).into_owned();
    let connect = head.starts_with("CONNECT ");
    record.lock().unwrap().push(head);
    if let Some(answer) = answer {
        let _ = stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await;
        return None;
    }
    let mut backend = TcpStream::connect(to).await.ok()?;
    match connect {
        true => stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?,
        false => backend.write_all(&read).await.ok()?,
    }
    copy_bidirectional(&mut stream, &mut backend).await.ok()?;
    None
}

impl TlsEnd {
    pub async fn start(to: SocketAddr, alpn: &[&[u8]]) -> Self {
        let names = vec![NAME.to_owned(), "127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let dir = TempDir::new().unwrap();
        std::fs::write(dir.path().join("ca.pem"), cert.pem()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await.ok()?;
                    let mut backend = TcpStream::connect(to).await.ok()?;
                    copy_bidirectional(&mut stream, &mut backend).await.ok()
                });
            }
        });
        Self { addr, dir, task }
    }

    fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A client's configuration that trusts it.
    pub fn trusted(&self, alpn: &[&[u8]]) -> ClientTls {
        let ca = Some(SecretSource::File(self.ca()));
        let files = config::ClientTls { ca, ..config::ClientTls::default() };
        client_config(&files, alpn).unwrap()
    }
}

impl Drop for TlsEnd {
    fn drop(&mut self) {
        self.task.abort();
    }
}
