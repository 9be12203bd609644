//! Requests that a browser sends on behalf of a page of another site.

use super::host;
use axum::http::{Method, Request, Uri};

/// The site that made a browser send this request, if it is another one than the request goes to.
///
/// Browsers send `Sec-Fetch-Site`, older ones `Origin`; other programs send neither. Reads are always
/// accepted, since a browser keeps their responses from other sites.
pub(super) fn foreign<B>(request: &Request<B>, allowed: &[String]) -> Option<String> {
    if matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    ) {
        return None;
    }
    let text = |name: &str| {
        let value = request.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (site, origin) = (text("sec-fetch-site"), text("origin"));
    let is_foreign = match (site.as_deref(), &origin) {
        (Some("same-origin" | "none"), _) | (None, None) => false,
        (Some(_), _) => true,
        (None, Some(origin)) => {
            let authority = origin
                .split_once("://")
                .map_or("", |(_, authority)| authority);
            !host::named(request).any(|host| host.eq_ignore_ascii_case(authority))
        }
    };
    let name = origin
        .as_deref()
        .and_then(|origin| origin.parse::<Uri>().ok()?.host().map(str::to_owned));
    let is_allowed = name.is_some_and(|name| host::is_in(&name, allowed));
    (is_foreign && !is_allowed).then(|| origin.unwrap_or_else(|| "another site".to_owned()))
}
