//! The addresses of archivers, and what they may respond.

use crate::Error;
use std::time::Duration;

const PATH: &str = "push.v1.PusherService/Push";
const SYMBOLS_PATH: &str = "api/v1/symbols";

/// The outcome of a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The windows are stored. `watch` is the time for which the archiver asks for short windows.
    Stored { watch: Option<Duration> },
    /// Try again, or try another archiver; not before `after` has passed, if it is given.
    Later {
        reason: String,
        after: Option<Duration>,
    },
    /// The window will never be accepted.
    Refused { reason: String },
}

/// The URL that windows are pushed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Archiver(String);

impl Archiver {
    /// Parses the address of an archiver, such as `http://127.0.0.1:4040` or `https://archive.corp`.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Archiver {
            url: url.to_owned(),
            reason,
        };
        if !cfg!(feature = "push") {
            return Err(refuse(
                "pushing needs the feature `push` of davy-profiler, which this program was built without",
            ));
        }
        let is_tls = url.starts_with("https://");
        if is_tls && !cfg!(feature = "tls") {
            return Err(refuse(
                "https:// needs the feature `tls` of davy-profiler, which this program was built without",
            ));
        }
        let rest = url
            .strip_prefix(if is_tls { "https://" } else { "http://" })
            .ok_or_else(|| refuse("expected it to start with http:// or https://"))?;
        if rest.is_empty() || rest.starts_with(['/', ':']) || rest.contains([' ', '?', '#']) {
            return Err(refuse("expected http://HOST:PORT or https://HOST:PORT"));
        }
        Ok(Self(format!("{}/{PATH}", url.trim_end_matches('/'))))
    }

    /// The address that windows are sent to.
    pub(super) fn push_url(&self) -> &str {
        &self.0
    }

    /// The address of the symbols of a build. Build ids are hexadecimal numbers.
    pub(super) fn symbols_url(&self, build_id: &str) -> String {
        format!("{}/{SYMBOLS_PATH}/{build_id}", self.address())
    }

    /// The address without the path of the push endpoint.
    pub(super) fn address(&self) -> &str {
        self.0.trim_end_matches(PATH).trim_end_matches('/')
    }
}

#[cfg(all(test, feature = "push"))]
mod tests {
    use super::*;

    #[test]
    fn parse_accepts_http_urls_and_rejects_other_addresses() {
        let check = |url: &str, expected: Option<&str>| {
            assert_eq!(
                Archiver::parse(url).ok().map(|a| a.0).as_deref(),
                expected,
                "{url}"
            );
        };
        check(
            "http://127.0.0.1:4040",
            Some("http://127.0.0.1:4040/push.v1.PusherService/Push"),
        );
        check(
            "http://h/base/",
            Some("http://h/base/push.v1.PusherService/Push"),
        );
        check("https://", None);
        check("ftp://h", None);
        check("127.0.0.1:4040", None);
        check("http://", None);
        #[cfg(feature = "tls")]
        check(
            "https://h:443",
            Some("https://h:443/push.v1.PusherService/Push"),
        );
        #[cfg(not(feature = "tls"))]
        check("https://h:443", None);
    }
}

#[cfg(all(test, not(feature = "push")))]
mod tests {
    use super::*;

    #[test]
    fn address_without_the_feature_is_refused_with_the_name_of_the_feature() {
        let error = Archiver::parse("http://127.0.0.1:4040").expect_err("refused");
        assert!(error.to_string().contains("feature `push`"), "{error}");
    }
}
