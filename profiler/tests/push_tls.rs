//! Archivers behind `https://`, with real TLS and generated certificates.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profiler::{Builder, Error};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use work::{burn, turn};

const SHUTDOWN: Duration = Duration::from_secs(20);

/// A certificate authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut of = CertificateParams::default();
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(of, key).expect("a certificate"))
    }

    /// Writes its certificate to a file.
    fn file(&self, folder: &Path) -> PathBuf {
        let file = folder.join("ca.pem");
        std::fs::write(&file, self.0.pem()).expect("written");
        file
    }

    /// An archiver with a certificate for `host`.
    fn archiver(&self, host: &str) -> Archiver {
        let key = KeyPair::generate().expect("a key");
        let of = CertificateParams::new(vec![host.to_owned()]).expect("a name");
        let certificate = of.signed_by(&key, &self.0).expect("signed");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .expect("a key that fits");
        let config = Arc::new(config);
        Archiver::start_with("https", move |mut stream: TcpStream, serve| {
            let session = rustls::ServerConnection::new(Arc::clone(&config));
            let mut session = session.expect("a session");
            // A client that rejects the certificate sends an alert and disconnects.
            while session.is_handshaking() {
                if session.complete_io(&mut stream).is_err() {
                    let _ = stream.flush();
                    return;
                }
            }
            serve(Box::new(rustls::StreamOwned::new(session, stream)));
        })
    }
}

/// Pushes to `archiver` until the profiler is stopped. Returns why nothing was delivered.
fn refused(builder: Builder, archiver: &Archiver) -> String {
    let profiler = builder
        .archiver(archiver.url())
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(100));
    let undelivered = profiler.shutdown(Duration::from_secs(2));
    let Err(Error::Undelivered {
        windows, reason, ..
    }) = undelivered
    else {
        panic!("delivered: {undelivered:?}");
    };
    assert!(windows > 0 && archiver.all().is_empty());
    reason
}

#[test]
fn windows_are_delivered_over_one_tls_connection() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let archiver = authority.archiver("127.0.0.1");
    let profiler = Builder::new("tls")
        .window(Duration::from_secs(1))
        .token("secret")
        .archiver(archiver.url())
        .ca_file(authority.file(folder.path()))
        .start()
        .expect("profiler started");
    burn(Duration::from_millis(1_200));
    let push = archiver.next_of("process_cpu");
    assert_eq!(push.authorization.as_deref(), Some("Bearer secret"));
    profiler.shutdown(SHUTDOWN).expect("delivered");
    let connections = archiver
        .connections
        .load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(connections, 1);
}

#[test]
fn untrusted_certificate_is_rejected_and_windows_wait_for_another_archiver() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let (authority, other) = (Authority::new(), Authority::new());
    let (right, wrong) = (authority.archiver("127.0.0.1"), other.archiver("127.0.0.1"));
    let profiler = Builder::new("tls")
        .archiver(wrong.url())
        .ca_file(authority.file(folder.path()))
        .start()
        .expect("profiler started");
    let handle = profiler.handle();
    while handle.stats().push_failures < 2 {
        burn(Duration::from_millis(50));
    }
    let waiting = handle.stats().windows_pending;
    assert!(waiting > 0 && handle.stats().windows_pushed == 0);
    handle.push_to(&right.url()).expect("an address");
    profiler.shutdown(SHUTDOWN).expect("delivered");
    assert!(right.all().len() >= waiting);
    assert_eq!(wrong.all().len(), 0);

    let reason = refused(
        Builder::new("tls").ca_file(authority.file(folder.path())),
        &wrong,
    );
    assert!(reason.starts_with(&wrong.url()), "{reason}");
    assert!(reason.contains("set ca_file"), "{reason}");
}

#[test]
fn certificate_that_the_system_does_not_trust_is_rejected() {
    let _turn = turn();
    let reason = refused(Builder::new("tls"), &Authority::new().archiver("127.0.0.1"));
    // On a machine without CA certificates the reason differs.
    assert!(reason.contains("set ca_file"), "{reason}");
}

#[test]
fn certificate_for_another_host_is_rejected() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::new();
    let archiver = authority.archiver("archive.example");
    let reason = refused(
        Builder::new("tls").ca_file(authority.file(folder.path())),
        &archiver,
    );
    assert!(reason.contains("is for another host"), "{reason}");
}

#[test]
fn server_without_tls_is_reported_as_such() {
    let _turn = turn();
    // Responds in plain text.
    let plain = Archiver::start_with("https", |mut stream, _| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    let reason = refused(Builder::new("tls"), &plain);
    assert!(reason.contains("does not speak TLS"), "{reason}");
}

#[test]
fn start_fails_if_the_ca_file_holds_no_certificate() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, text: Option<&str>, expected: &str| {
        let file = folder.path().join(name);
        if let Some(text) = text {
            std::fs::write(&file, text).expect("written");
        }
        let error = Builder::new("tls").ca_file(&file).start();
        let error = error.expect_err("the file is not usable").to_string();
        assert!(error.contains(name) && error.contains(expected), "{error}");
    };
    check("missing.pem", None, "No such file");
    check("empty.pem", Some(""), "no certificate in PEM");
    let key = KeyPair::generate().expect("a key").serialize_pem();
    check("key.pem", Some(&key), "no certificate in PEM");
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    check("nonsense.pem", Some(nonsense), "invalid certificate");
}
