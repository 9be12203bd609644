//! The tenant of a request.

use crate::error::{Error, Result};
use crate::key::Tenant;
use axum::http::HeaderMap;

/// The header that names the tenant.
const TENANT: &str = "x-scope-orgid";

/// The tenant of a request; fails if its header is invalid.
pub fn tenant(headers: &HeaderMap) -> Result<Tenant> {
    let Some(value) = headers.get(TENANT) else {
        return Ok(Tenant::anonymous());
    };
    // A lossy conversion could map two tenants to one.
    let name = std::str::from_utf8(value.as_bytes())
        .map_err(|_| Error::invalid("invalid header X-Scope-OrgID: not UTF-8"))?;
    if name.is_empty() {
        return Ok(Tenant::anonymous());
    }
    Tenant::new(name).ok_or_else(|| {
        Error::invalid("invalid header X-Scope-OrgID: longer than 128 bytes, the limit")
    })
}
