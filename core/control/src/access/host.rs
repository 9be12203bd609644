//! The host names that a request names.

use axum::http::uri::Authority;
use axum::http::{Request, header};
use std::net::IpAddr;

/// The first host name in the request that is neither an IP address, `localhost` nor in `allowed`.
///
/// A request without any host is accepted: every browser sends one.
pub(super) fn foreign<B>(request: &Request<B>, allowed: &[String]) -> Option<String> {
    named(request).find(|host| !is_allowed(host, allowed))
}

/// The values of the header `Host`, and over HTTP/2 the authority. Includes the port.
pub(super) fn named<B>(request: &Request<B>) -> impl Iterator<Item = String> {
    let headers = request.headers().get_all(header::HOST).iter();
    let headers = headers.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let authority = request.uri().authority().map(Authority::to_string);
    headers.chain(authority)
}

/// Whether `host`, with or without a port, is an IP address, `localhost` or in `allowed`.
fn is_allowed(host: &str, allowed: &[String]) -> bool {
    if host.is_empty() {
        return true;
    }
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let is_address = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>()
        .is_ok();
    is_address || is_named(name, "localhost") || is_in(name, allowed)
}

/// Whether the host name is in a list of host names.
pub(super) fn is_in(name: &str, hosts: &[String]) -> bool {
    hosts.iter().any(|host| is_named(name, host))
}

fn is_named(name: &str, host: &str) -> bool {
    name.trim_end_matches('.').eq_ignore_ascii_case(host)
}
