//! TLS to Redis.

use crate::settings_error::SettingsError;
use redis::{ClientTlsConfig, TlsCertificates};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};

/// Files for TLS to Redis, each of which may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// The CAs to trust instead of those of the system.
    pub ca: Option<PathBuf>,
    /// The certificate of this client.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl TlsFiles {
    /// Whether none is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Reads the files, and checks that they hold what they should.
    pub(crate) fn read(&self) -> Result<TlsCertificates, SettingsError> {
        let root_cert = match &self.ca {
            Some(file) => Some(certificates("arclamp.ca_file", file)?),
            None => None,
        };
        let client_tls = match (&self.certificate, &self.key) {
            (Some(certificate), Some(key)) => Some(ClientTlsConfig {
                client_cert: certificates("arclamp.certificate_file", certificate)?,
                client_key: private_key(key)?,
            }),
            (None, None) => None,
            _ => {
                return Err(SettingsError::new(
                    "arclamp.certificate_file and arclamp.key_file belong together; set both or none",
                ));
            }
        };
        Ok(TlsCertificates {
            client_tls,
            root_cert,
        })
    }
}

fn read(setting: &str, file: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(file).map_err(|error| refused(setting, file, &error.to_string()))
}

fn refused(setting: &str, file: &Path, reason: &str) -> SettingsError {
    SettingsError::new(format!("cannot use {setting} {}: {reason}", file.display()))
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<u8>, SettingsError> {
    let pem = read(setting, file)?;
    let mut count = 0;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        certificate.map_err(|error| refused(setting, file, &error.to_string()))?;
        count += 1;
    }
    if count == 0 {
        let reason = "the file holds no certificate in PEM format";
        return Err(refused(setting, file, reason));
    }
    Ok(pem)
}

fn private_key(file: &Path) -> Result<Vec<u8>, SettingsError> {
    let setting = "arclamp.key_file";
    let pem = read(setting, file)?;
    if PrivateKeyDer::from_pem_slice(&pem).is_err() {
        let reason = "the file holds no private key in PEM format without a passphrase";
        return Err(refused(setting, file, reason));
    }
    Ok(pem)
}

/// Says what to do about an error of a connection.
pub(crate) fn explain(error: &str, is_tls: bool) -> String {
    let has = |texts: &[&str]| texts.iter().any(|text| error.contains(text));
    if !is_tls {
        // Redis closes a connection that does not begin with a handshake.
        let is_closed = has(&["reset by peer", "unexpected end of file", "Broken pipe"]);
        let advice = "; if it uses TLS on this port, set rediss:// instead of redis://";
        return format!("{error}{}", if is_closed { advice } else { "" });
    }
    let known: [(&[&str], &str); 5] = [
        (
            &["UnknownIssuer"],
            "its certificate is not signed by a trusted CA; set arclamp.ca_file to the CA of Redis",
        ),
        (
            &["not valid for name", "NotValidForName"],
            "its certificate is for another name; use that name in arclamp.redis",
        ),
        (
            &["expired", "Expired"],
            "its certificate has expired; renew it",
        ),
        (
            &["CertificateRequired", "HandshakeFailure"],
            "it requires a certificate of the client; set arclamp.certificate_file and arclamp.key_file",
        ),
        (
            &["corrupt message", "InvalidContentType"],
            "it does not use TLS on this port; use the port of TLS (tls-port), or redis:// instead of rediss://",
        ),
    ];
    match known.iter().find(|(texts, _)| has(texts)) {
        Some((_, advice)) => format!("TLS handshake failed: {advice} ({error})"),
        None => error.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_cannot_be_used_are_errors_that_name_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            Some(path)
        };
        let empty = file("empty.pem", "\n");
        let none = Some(folder.path().join("none.pem"));
        let of = |ca: &Option<PathBuf>, certificate: &Option<PathBuf>, key: &Option<PathBuf>| {
            let files = TlsFiles {
                ca: ca.clone(),
                certificate: certificate.clone(),
                key: key.clone(),
            };
            files.read().expect_err("bad").to_string()
        };
        let error = of(&none, &None, &None);
        assert!(error.starts_with("cannot use arclamp.ca_file /"), "{error}");
        let error = of(&empty, &None, &None);
        assert!(
            error.ends_with("holds no certificate in PEM format"),
            "{error}"
        );
        let error = of(&None, &empty, &None);
        assert!(error.contains("belong together"), "{error}");
        assert!(TlsFiles::default().read().is_ok());
    }
}
