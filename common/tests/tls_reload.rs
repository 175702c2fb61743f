//! Certificates that are replaced while requests come in.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use bytes::Bytes;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::CertificateDer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use support::{Rig, until};
use tailgate_common::client::{ClientSettings, OtlpGrpcClient, SendError};
use tailgate_common::config::{ClientTls, SecretSource, ServerTls, TlsTerms};
use tailgate_common::net::tls::{client_config, server_config};
use tailgate_common::receive::ServerSettings;
use tailgate_common::reload::{self, Status};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Held by each test: to ask for one file's status is to look at all.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for gateway.test and its key.
    fn leaf(&self, expired: bool) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["gateway.test".to_owned()]).unwrap();
        if expired {
            params.not_after = date_time_ymd(2020, 1, 1);
        }
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// A mounted secret as the kubelet makes it: the files are links through `..data`, which is
/// replaced by a rename.
struct Mount {
    dir: TempDir,
    version: AtomicU64,
}

impl Mount {
    fn new(files: &[(&str, &str)]) -> Self {
        let mount = Self { dir: TempDir::new().unwrap(), version: AtomicU64::new(0) };
        mount.swap(files);
        for (name, _) in files {
            std::os::unix::fs::symlink(Path::new("..data").join(name), mount.path(name)).unwrap();
        }
        mount
    }

    fn swap(&self, files: &[(&str, &str)]) {
        let version = format!("..{}", self.version.fetch_add(1, Ordering::Relaxed));
        std::fs::create_dir(self.path(&version)).unwrap();
        for (name, text) in files {
            std::fs::write(self.path(&version).join(name), text).unwrap();
        }
        std::os::unix::fs::symlink(&version, self.path("..data_tmp")).unwrap();
        std::fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn pem(&self, name: &str) -> SecretSource {
        SecretSource::File(self.path(name))
    }

    fn server(&self) -> ServerTls {
        let mut tls = ServerTls::new(self.pem("tls.crt"), self.pem("tls.key"));
        tls.terms.reload = Duration::ZERO;
        tls
    }

    fn status(&self) -> Status {
        let file = self.path("tls.crt").display().to_string();
        reload::all().into_iter().find(|status| status.file == file).unwrap()
    }
}

async fn rig(tls: &ServerTls) -> Rig {
    let mut settings = ServerSettings::grpc("");
    settings.tls = Some(server_config(tls, &[b"h2"]).unwrap());
    Rig::start(settings).await
}

fn client(rig: &Rig, tls: &ClientTls) -> OtlpGrpcClient {
    let mut settings = ClientSettings::new(rig.addr().to_string());
    settings.tls = Some(client_config(tls, &[b"h2"]).unwrap());
    settings.server_name = Some("gateway.test".to_owned());
    OtlpGrpcClient::new(settings).unwrap()
}

async fn export(client: &OtlpGrpcClient) -> Result<(), SendError> {
    client.export(Bytes::from_static(b"spans")).await.map(drop)
}

fn trusting(pem: &str) -> ClientTls {
    let ca = SecretSource::Inline(tailgate_common::config::Secret::new(pem));
    ClientTls { ca: Some(ca), ..ClientTls::default() }
}

/// The certificate that a new connection is shown.
async fn shown(rig: &Rig) -> CertificateDer<'static> {
    let anyone = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    let connector = TlsConnector::from(client_config(&anyone, &[b"h2"]).unwrap().current());
    let stream = TcpStream::connect(rig.addr()).await.unwrap();
    let stream = connector.connect("gateway.test".try_into().unwrap(), stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

fn der(pem: &str) -> CertificateDer<'static> {
    use rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn leaf_and_authority_are_replaced_under_traffic_without_a_failed_request() {
    let _turn = TURN.lock().await;
    let (old, new) = (Authority::new(), Authority::new());
    let ((cert, key), (new_cert, new_key)) = (old.leaf(false), new.leaf(false));
    let mount = Mount::new(&[("tls.crt", &cert), ("tls.key", &key)]);
    let rig = Arc::new(rig(&mount.server()).await);
    let both = trusting(&[&*old.pem, &new.pem].concat());
    let stop = Arc::new(AtomicU64::new(0));
    let (done, fresh) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let mut traffic = tokio::task::JoinSet::new();
    for lasting in [true, true, false] {
        let (rig, both, stop) = (rig.clone(), both.clone(), stop.clone());
        let count = if lasting { done.clone() } else { fresh.clone() };
        traffic.spawn(async move {
            let mut one = client(&rig, &both);
            while stop.load(Ordering::Relaxed) == 0 {
                if !lasting {
                    one = client(&rig, &both);
                }
                export(&one).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let more = async |by: u64| {
        let (a, b) = (done.load(Ordering::Relaxed) + by, fresh.load(Ordering::Relaxed) + by);
        let so = || done.load(Ordering::Relaxed) > a && fresh.load(Ordering::Relaxed) > b;
        until("requests went through", so).await;
    };
    more(20).await;
    assert_eq!(shown(&rig).await, der(&cert));
    mount.swap(&[("tls.crt", &new_cert), ("tls.key", &new_key)]);
    // Who finds another one looking takes what is there; this waits, and looks.
    assert_eq!(mount.status().trouble(), None);
    assert_eq!(shown(&rig).await, der(&new_cert));
    more(20).await;
    stop.store(1, Ordering::Relaxed);
    while let Some(ended) = traffic.join_next().await {
        ended.unwrap();
    }
    assert_eq!((rig.handle.stats().failed_handshakes(), mount.status().failures), (0, 0));
    // The old authority is no longer enough.
    export(&client(&rig, &trusting(&old.pem))).await.unwrap_err();
    export(&client(&rig, &trusting(&new.pem))).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_used_leaves_the_old_certificate_and_is_counted_once() {
    let _turn = TURN.lock().await;
    let authority = Authority::new();
    let (cert, key) = authority.leaf(false);
    let mount = Mount::new(&[("tls.crt", &cert), ("tls.key", &key)]);
    let rig = rig(&mount.server()).await;
    let expiry = mount.status().expiry.unwrap();
    let (stale, stale_key) = authority.leaf(true);
    let other_key = authority.leaf(false).1;
    let table = [
        (("garbage", &*key), "no certificate"),
        ((&*stale, &*stale_key), "expired"),
        ((&*cert, &*other_key), "tls.key: "),
        ((&*cert, ""), "no private key"),
    ];
    for (failures, ((bad_cert, bad_key), text)) in (1..).zip(table) {
        mount.swap(&[("tls.crt", bad_cert), ("tls.key", bad_key)]);
        for _ in 0..3 {
            assert_eq!(shown(&rig).await, der(&cert));
            export(&client(&rig, &trusting(&authority.pem))).await.unwrap();
        }
        let status = mount.status();
        assert_eq!((status.failures, status.expiry), (failures, Some(expiry)), "{text}");
        assert!(status.trouble().unwrap().contains(text), "{status:?}");
    }
    let (cert, key) = authority.leaf(false);
    mount.swap(&[("tls.crt", &cert), ("tls.key", &key)]);
    assert_eq!(shown(&rig).await, der(&cert));
    assert_eq!(mount.status().trouble(), None);
}

#[tokio::test]
async fn the_authority_of_clients_and_their_own_certificates_are_replaced() {
    let _turn = TURN.lock().await;
    let (servers, old, new) = (Authority::new(), Authority::new(), Authority::new());
    let (cert, key) = servers.leaf(false);
    let files = [("tls.crt", &*cert), ("tls.key", &*key)];
    let mount = Mount::new(&[files[0], files[1], ("ca.crt", &old.pem)]);
    let rig = rig(&ServerTls { client_ca: Some(mount.pem("ca.crt")), ..mount.server() }).await;
    let (cert, key) = old.leaf(false);
    let identity = Mount::new(&[("tls.crt", &cert), ("tls.key", &key)]);
    let with = ClientTls {
        identity: Some((identity.pem("tls.crt"), identity.pem("tls.key"))),
        terms: TlsTerms { reload: Duration::ZERO, ..TlsTerms::default() },
        ..trusting(&servers.pem)
    };
    let client = client(&rig, &with);
    export(&client).await.unwrap();
    mount.swap(&[files[0], files[1], ("ca.crt", &new.pem)]);
    // The connection that is open goes on; a new one needs the new authority.
    export(&client).await.unwrap();
    export(&self::client(&rig, &with)).await.unwrap_err();
    let (cert, key) = new.leaf(false);
    identity.swap(&[("tls.crt", &cert), ("tls.key", &key)]);
    export(&self::client(&rig, &with)).await.unwrap();
}
