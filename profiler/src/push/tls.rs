//! Which certificates of archivers are trusted, and explanations of TLS errors.

use crate::Error;
use rustls::CertificateError;
use rustls::crypto::ring;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The certificate authorities that must have signed an archiver's certificate.
#[derive(Clone, Default)]
pub(crate) enum Trust {
    /// Those that the system trusts. They are loaded at the first TLS connection.
    #[default]
    System,
    /// Only those of a file.
    File(Arc<Vec<Certificate<'static>>>),
}

impl Trust {
    /// Trusts the certificates in a PEM file, and reads the file.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::CaFile {
            file: file.to_owned(),
            reason,
        };
        let pem = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
        let mut roots = rustls::RootCertStore::empty();
        let mut own = Vec::new();
        for item in parse_pem(&pem) {
            // The file may also hold keys; they are ignored.
            let Ok(PemItem::Certificate(certificate)) = item else {
                continue;
            };
            roots
                .add(certificate.der().to_vec().into())
                .map_err(|error| refuse(format!("invalid certificate: {error}")))?;
            own.push(certificate);
        }
        if own.is_empty() {
            return Err(refuse(
                "the file holds no certificate in PEM format".to_owned(),
            ));
        }
        Ok(Self::File(Arc::new(own)))
    }

    pub(super) fn config(&self) -> TlsConfig {
        let roots = match self {
            Self::System => RootCerts::PlatformVerifier,
            Self::File(certificates) => RootCerts::Specific(Arc::clone(certificates)),
        };
        TlsConfig::builder()
            .root_certs(roots)
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .build()
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::File(certificates) => write!(f, "File({} certificates)", certificates.len()),
        }
    }
}

/// What a failed handshake means, and what to change; none if the error is not about TLS.
pub(super) fn explain(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    let reason = match error {
        rustls::Error::InvalidCertificate(of) => match of {
            // BadSignature: the issuer has the name of a trusted CA, but another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the certificate is not signed by a trusted CA; set ca_file to a file with its CA"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate is for another host; use the host name of the certificate in the URL"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate has expired; renew it on the archiver"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "the certificate is not valid yet; check the clocks of both machines"
            }
            _ => "the certificate is invalid",
        },
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS; try http://",
        _ => "TLS handshake failed; set ca_file if the system has no CA certificates",
    };
    Some(format!("{reason} ({error})"))
}
