//! The headers by which a proxy names its client.

use axum::http::HeaderMap;
use std::net::{IpAddr, SocketAddr};

/// Headers that proxies add, besides every `x-forwarded-*`.
const HEADERS: [&str; 5] = [
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
];

/// Whether a proxy has handled the request.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    let mut names = headers.keys().map(axum::http::HeaderName::as_str);
    names.any(|name| name.starts_with("x-forwarded") || HEADERS.contains(&name))
}

/// Whether the forwarding headers name at least one client address and only loopback addresses.
///
/// A client can write these headers too, and proxies differ in which of them they replace. All of them
/// have to agree, so a header that the proxy passed through unchanged can't make a client local.
pub(super) fn names_only_loopback(headers: &HeaderMap) -> bool {
    let mut addresses = addresses(headers).peekable();
    addresses.peek().is_some()
        && addresses.all(|address| address.is_some_and(|ip| ip.to_canonical().is_loopback()))
}

/// Every client address in the headers; `None` where one can't be parsed.
fn addresses(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let items = |name: &'static str| {
        headers.get_all(name).iter().flat_map(|value| {
            // A value that is not text is one address that can't be parsed.
            value.to_str().unwrap_or("?").split(',').map(str::trim)
        })
    };
    let plain = [
        "x-forwarded-for",
        "x-real-ip",
        "true-client-ip",
        "cf-connecting-ip",
    ]
    .into_iter()
    .flat_map(items)
    .map(parse);
    let forwarded = items("forwarded").map(|element| {
        let parameters = element.split(';').filter_map(|pair| pair.split_once('='));
        let mut client = parameters
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"))
            .map(|(_, value)| value);
        client.next_back().and_then(parse)
    });
    plain.chain(forwarded)
}

/// The address in `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`, quoted or not.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}
