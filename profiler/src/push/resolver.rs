//! The addresses of archivers.
//!
//! ureq looks each name up on a thread of its own, so that it can give up in time. When memory runs
//! out there is no place for a thread, and that is when the last window goes out. So an address that
//! is given as a number is never looked up, and one that was found before is good enough in a hurry,
//! and when a name can't be looked up any more.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Names that are remembered; archivers are few.
const NAMES_MAX: usize = 16;

/// What was found, by name and port, for all clients of the process.
static FOUND: Mutex<Vec<(String, Vec<SocketAddr>)>> = Mutex::new(Vec::new());

/// Remembers what it finds.
#[derive(Debug)]
pub(super) struct Remembering {
    lookup: DefaultResolver,
    /// Whether what was found before is not looked up again.
    is_hurried: bool,
}

impl Remembering {
    pub(super) fn new(is_hurried: bool) -> Self {
        Self {
            lookup: DefaultResolver::default(),
            is_hurried,
        }
    }

    fn answer(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut answer = self.empty();
        for address in addresses {
            answer.push(*address);
        }
        answer
    }
}

impl Resolver for Remembering {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let name = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => DefaultResolver::host_and_port(scheme, authority),
            _ => None,
        };
        let name = name.unwrap_or_default();
        if let Ok(address) = name.parse() {
            return Ok(self.answer(&[address]));
        }
        if self.is_hurried
            && let Some(found) = find(&name)
        {
            return Ok(self.answer(&found));
        }
        match self.lookup.resolve(uri, config, timeout) {
            Ok(found) => {
                remember(name, found.to_vec());
                Ok(found)
            }
            Err(error) => find(&name).map_or(Err(error), |found| Ok(self.answer(&found))),
        }
    }
}

fn find(name: &str) -> Option<Vec<SocketAddr>> {
    let found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    let found = found.iter().find(|(known, _)| known == name);
    found.map(|(_, addresses)| addresses.clone())
}

fn remember(name: String, addresses: Vec<SocketAddr>) {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    found.retain(|(known, _)| *known != name);
    if found.len() == NAMES_MAX {
        found.remove(0);
    }
    found.push((name, addresses));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use ureq::Timeout;

    fn resolve(url: &str, is_hurried: bool) -> Result<Vec<SocketAddr>, ureq::Error> {
        let resolver = Remembering::new(is_hurried);
        let timeout = NextTimeout {
            after: Duration::from_secs(5).into(),
            reason: Timeout::Resolve,
            ..NextTimeout::default()
        };
        let uri = url.parse().expect("an address");
        let found = resolver.resolve(&uri, &Config::default(), timeout);
        found.map(|found| found.to_vec())
    }

    #[test]
    fn numbers_are_taken_as_they_are_and_names_as_they_were_found_before() {
        let is = |text: &str| vec![text.parse::<SocketAddr>().expect("an address")];
        let number = resolve("http://10.1.2.3:4040/x", true).expect("no lookup");
        assert_eq!(number, is("10.1.2.3:4040"));
        let number = resolve("https://[::1]/x", true).expect("no lookup");
        assert_eq!(number, is("[::1]:443"));

        let name = "http://no-such-archiver.invalid:4040/x";
        assert!(resolve(name, true).is_err(), "never found");
        remember(
            "no-such-archiver.invalid:4040".to_owned(),
            is("10.1.2.4:4040"),
        );
        // In a hurry it is not looked up, else in vain.
        for is_hurried in [true, false] {
            assert_eq!(
                resolve(name, is_hurried).expect("found before"),
                is("10.1.2.4:4040")
            );
        }
        assert!(
            !resolve("http://localhost:4040/x", false)
                .expect("found")
                .is_empty()
        );
        assert!(find("localhost:4040").is_some());
    }
}
