//! Resolves the host names of archivers.
//!
//! ureq resolves each name on a new thread, so that it can time out. When memory runs out, a thread cannot
//! be started, and that is when the last window is sent. So numeric addresses are used directly, and
//! addresses found before are used for urgent windows and whenever resolving fails.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Maximum number of cached names.
const NAMES_MAX: usize = 16;

/// Addresses by name and port, shared by all clients of the process.
static CACHE: Mutex<Vec<(String, Vec<SocketAddr>)>> = Mutex::new(Vec::new());

/// A resolver that caches addresses.
#[derive(Debug)]
pub(super) struct CachingResolver {
    lookup: DefaultResolver,
    /// Whether cached names are not resolved again.
    prefers_cache: bool,
}

impl CachingResolver {
    pub(super) fn new(prefers_cache: bool) -> Self {
        Self {
            lookup: DefaultResolver::default(),
            prefers_cache,
        }
    }

    fn response(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut response = self.empty();
        for address in addresses {
            response.push(*address);
        }
        response
    }
}

impl Resolver for CachingResolver {
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
            return Ok(self.response(&[address]));
        }
        if self.prefers_cache
            && let Some(found) = find(&name)
        {
            return Ok(self.response(&found));
        }
        match self.lookup.resolve(uri, config, timeout) {
            Ok(found) => {
                remember(name, found.to_vec());
                Ok(found)
            }
            Err(error) => find(&name).map_or(Err(error), |found| Ok(self.response(&found))),
        }
    }
}

fn find(name: &str) -> Option<Vec<SocketAddr>> {
    let found = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
    let found = found.iter().find(|(known, _)| known == name);
    found.map(|(_, addresses)| addresses.clone())
}

fn remember(name: String, addresses: Vec<SocketAddr>) {
    let mut found = CACHE.lock().unwrap_or_else(PoisonError::into_inner);
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

    fn resolve(url: &str, prefers_cache: bool) -> Result<Vec<SocketAddr>, ureq::Error> {
        let resolver = CachingResolver::new(prefers_cache);
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
    fn numeric_addresses_are_not_resolved_and_cached_names_survive_failures() {
        let is = |text: &str| vec![text.parse::<SocketAddr>().expect("an address")];
        let number = resolve("http://10.1.2.3:4040/x", true).expect("no lookup");
        assert_eq!(number, is("10.1.2.3:4040"));
        let number = resolve("https://[::1]/x", true).expect("no lookup");
        assert_eq!(number, is("[::1]:443"));

        let name = "http://no-such-archiver.invalid:4040/x";
        assert!(resolve(name, true).is_err(), "not cached yet");
        remember(
            "no-such-archiver.invalid:4040".to_owned(),
            is("10.1.2.4:4040"),
        );
        // With `prefers_cache` it is not resolved; without, resolving fails and the cache is used.
        for prefers_cache in [true, false] {
            assert_eq!(
                resolve(name, prefers_cache).expect("cached"),
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
