//! A CA, a certificate of a server on 127.0.0.1 and one of a client, made by openssl.

use davy_arclamp::TlsFiles;
use davy_test_support::skip;
use redis::{ClientTlsConfig, TlsCertificates};
use std::path::PathBuf;
use std::process::Command;

pub(crate) struct Certificates {
    folder: tempfile::TempDir,
}

impl Certificates {
    /// Creates them; `None` if openssl is not installed, and the test is skipped.
    pub(crate) fn new() -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("openssl is not installed");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let of = Self { folder };
        of.create("ca", &["-addext", "basicConstraints=critical,CA:TRUE"]);
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
        let name = ["-addext", "subjectAltName=IP:127.0.0.1"];
        of.create("server", &[&signed[..], &leaf, &name].concat());
        of.create("client", &[&signed[..], &leaf].concat());
        Some(of)
    }

    fn create(&self, name: &str, more: &[&str]) {
        let mut command = Command::new("openssl");
        command.current_dir(self.folder.path());
        command.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
        command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.arg("-subj").arg(format!("/CN={name}"));
        command.arg("-keyout").arg(format!("{name}.key"));
        command.arg("-out").arg(format!("{name}.pem")).args(more);
        let output = command.output().expect("openssl runs");
        assert!(output.status.success(), "{output:?}");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Lines of a configuration of Redis.
    pub(crate) fn config(&self) -> String {
        let [ca, certificate, key] =
            ["ca.pem", "server.pem", "server.key"].map(|name| self.path(name));
        format!(
            "tls-ca-cert-file {}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients yes\n",
            ca.display(),
            certificate.display(),
            key.display()
        )
    }

    /// The files of a client.
    pub(crate) fn files(&self) -> TlsFiles {
        TlsFiles {
            ca: Some(self.path("ca.pem")),
            certificate: Some(self.path("client.pem")),
            key: Some(self.path("client.key")),
        }
    }

    /// What they contain.
    pub(crate) fn of_client(&self) -> TlsCertificates {
        let read = |name: &str| std::fs::read(self.path(name)).expect("readable");
        TlsCertificates {
            client_tls: Some(ClientTlsConfig {
                client_cert: read("client.pem"),
                client_key: read("client.key"),
            }),
            root_cert: Some(read("ca.pem")),
        }
    }
}
