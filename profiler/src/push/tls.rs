//! Whose certificates an archiver may show, and what to say of one that is not taken.

use crate::Error;
use rustls::CertificateError;
use rustls::crypto::ring;
use std::path::Path;
use std::sync::Arc;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

/// The certificates that an archiver's must be signed by.
#[derive(Clone, Default)]
pub(crate) enum Trust {
    /// Those that the system trusts; they are read when the first archiver is spoken to by TLS.
    #[default]
    System,
    /// Those of a file, and no others.
    Own(Arc<Vec<Certificate<'static>>>),
}

impl Trust {
    /// Trusts the certificates of a PEM file, which is read now.
    pub(crate) fn read(file: &Path) -> Result<Self, Error> {
        let refuse = |reason: String| Error::CaFile {
            file: file.to_owned(),
            reason,
        };
        let pem = std::fs::read(file).map_err(|error| refuse(error.to_string()))?;
        let mut roots = rustls::RootCertStore::empty();
        let mut own = Vec::new();
        for item in parse_pem(&pem) {
            // Keys and the like are no certificates, and no harm.
            let Ok(PemItem::Certificate(certificate)) = item else {
                continue;
            };
            roots
                .add(certificate.der().to_vec().into())
                .map_err(|error| refuse(format!("it holds a certificate that is none: {error}")))?;
            own.push(certificate);
        }
        if own.is_empty() {
            return Err(refuse("it holds no certificate in PEM".to_owned()));
        }
        Ok(Self::Own(Arc::new(own)))
    }

    pub(super) fn config(&self) -> TlsConfig {
        let roots = match self {
            Self::System => RootCerts::PlatformVerifier,
            Self::Own(certificates) => RootCerts::Specific(Arc::clone(certificates)),
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
            Self::Own(certificates) => write!(f, "Own({})", certificates.len()),
        }
    }
}

/// What a failed handshake means to whoever set the archiver up; none where TLS was not to blame.
pub(super) fn explain(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    let reason = match error {
        rustls::Error::InvalidCertificate(of) => match of {
            // The other is of a CA that has the name of one that is trusted, and another key.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "its certificate was signed by nobody who is trusted here; name its CA with ca_file"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another host; push to the name that it is for"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired; renew it there"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; compare the clocks"
            }
            _ => "its certificate is not taken",
        },
        rustls::Error::InvalidMessage(_) => "what answers does not speak TLS; is it http://?",
        _ => "TLS failed; ca_file names a CA where the system has none",
    };
    Some(format!("{reason} ({error})"))
}
