//! Access rules: which requests a listener accepts, and which callers may change toggles.
//!
//! [`Access::admit`] runs before routing on every TCP listener. It refuses requests that a page of
//! another site made a browser send, and decides whether the caller counts as local. Changes without
//! a token are allowed only to local callers, so every doubt makes a caller remote.

mod forwarded;
mod host;
mod origin;

use crate::metrics::catalogue::entry;
use crate::problem::Problem;
use axum::http::{HeaderMap, Request, StatusCode};
use davy_archive::metrics::register;
use ipnet::IpNet;
use prometheus::{IntCounterVec, Registry};
use std::net::IpAddr;
use std::sync::Arc;

/// What the configuration says about access.
#[derive(Clone, Debug, Default)]
pub struct AccessOptions {
    /// Bearer token that every change needs. Empty: changes are allowed to local callers only.
    pub token: String,
    /// Refuses every change while `token` is empty, instead of trusting local callers.
    pub require_token: bool,
    /// Host names that requests may carry besides IP addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Proxies on this machine whose forwarding headers are trusted.
    pub trusted_proxies: Vec<IpNet>,
}

/// The access rules of a process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Access(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: AccessOptions,
    refused: IntCounterVec,
}

/// The two ends of a TCP connection.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The address of the client, or of a proxy in front of it.
    pub peer: IpAddr,
    /// The address that the client connected to.
    pub local: IpAddr,
}

/// Where a request comes from. A request without this extension counts as remote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Caller {
    /// A program on this machine.
    Local,
    /// Anything else.
    #[default]
    Remote,
}

impl Access {
    /// Registers the counter of refused requests.
    pub fn new(options: AccessOptions, registry: &Registry) -> Result<Self, prometheus::Error> {
        let entry = entry("davy_http_refused_total")?;
        let refused = register(registry, IntCounterVec::new(entry.opts(), entry.labels)?)?;
        Ok(Self(Arc::new(Inner { options, refused })))
    }

    /// The caller of a request that came in over TCP, or the reason why it is refused.
    ///
    /// A request to a loopback address must name an IP address, `localhost` or one of the allowed
    /// hosts. Otherwise a page could point its own domain at 127.0.0.1 (DNS rebinding) and read
    /// everything that the listener serves.
    pub fn admit<B>(
        &self,
        connection: Connection,
        request: &Request<B>,
    ) -> Result<Caller, Problem> {
        let Inner { options, refused } = &*self.0;
        let is_loopback = connection.local.to_canonical().is_loopback();
        if is_loopback && let Some(name) = host::foreign(request, &options.hosts) {
            refused.with_label_values(&["host"]).inc();
            return Err(Problem::new(
                StatusCode::MISDIRECTED_REQUEST,
                format!(
                    "host {name:?} is not allowed for a loopback address; use the IP address or localhost, or add the name to http.hosts"
                ),
            ));
        }
        if let Some(site) = origin::foreign(request, &options.hosts) {
            refused.with_label_values(&["cross_site"]).inc();
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                format!(
                    "cross-site {} request refused: a browser sent it for {site}; if that site is trusted, add its host to http.hosts",
                    request.method()
                ),
            ));
        }
        Ok(self.caller(connection.peer, request.headers()))
    }

    /// A forwarding header makes a caller remote, unless a trusted proxy on this machine sent it and
    /// every address in it is a loopback address.
    fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> Caller {
        let peer = peer.to_canonical();
        let is_local = peer.is_loopback()
            && (!forwarded::is_forwarded(headers)
                || (self.trusts(peer) && forwarded::names_only_loopback(headers)));
        if is_local {
            Caller::Local
        } else {
            Caller::Remote
        }
    }

    fn trusts(&self, proxy: IpAddr) -> bool {
        let networks = &self.0.options.trusted_proxies;
        networks.iter().any(|network| network.contains(&proxy))
    }

    /// Whether a caller may change something.
    pub(crate) fn may_change(&self, caller: Caller, headers: &HeaderMap) -> Result<(), Problem> {
        let AccessOptions {
            token,
            require_token,
            ..
        } = &self.0.options;
        if !token.is_empty() {
            let shown = headers
                .get("authorization")
                .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
            return if shown.is_some_and(|shown| equal_in_constant_time(shown.trim(), token)) {
                Ok(())
            } else {
                Err(Problem::new(
                    StatusCode::UNAUTHORIZED,
                    "missing or wrong token; send the value of http.token with --token, DAVY_TOKEN or Authorization: Bearer",
                ))
            };
        }
        if *require_token {
            return Err(Problem::new(
                StatusCode::FORBIDDEN,
                "http.require_token is set but http.token is empty; set http.token or http.token_file",
            ));
        }
        if caller == Caller::Local {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            "without http.token, changes are accepted only from this machine and not through a proxy; set http.token",
        ))
    }
}

/// Compares in constant time, so that the duration does not reveal how many leading bytes match.
fn equal_in_constant_time(shown: &str, token: &str) -> bool {
    let difference = shown
        .bytes()
        .zip(token.bytes())
        .fold(0, |sum, (a, b)| sum | (a ^ b));
    shown.len() == token.len() && difference == 0
}

#[cfg(test)]
mod tests;
