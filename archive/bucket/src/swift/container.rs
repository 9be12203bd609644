//! A container, and the names of its objects in URLs.

use super::options::SwiftOptions;
use super::session::Session;
use davy_base::Clock;
use object_store::client::HttpClient;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::sync::Arc;

/// A container of OpenStack Swift. Cheap to clone.
#[derive(Clone)]
pub struct Swift {
    pub(super) session: Arc<Session>,
    pub(super) container: Arc<str>,
    /// Names on one page of a listing.
    pub(super) page: usize,
}

/// Bytes of a name that stay as they are in a URL; `/` separates the parts of a name.
const PLAIN: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// A name for the path or the query of a URL.
pub(super) fn quoted(name: &str) -> String {
    utf8_percent_encode(name, &PLAIN).to_string()
}

impl Swift {
    /// The container that the options describe. Sends no request.
    pub fn new(options: SwiftOptions, http: HttpClient, clock: Clock) -> Self {
        Self {
            container: options.container.as_str().into(),
            page: options.page,
            session: Arc::new(Session::new(options.login, options.region, http, clock)),
        }
    }

    /// The path of an object below the address of the account.
    pub(super) fn object(&self, name: &str) -> String {
        format!("/{}/{}", quoted(&self.container), quoted(name))
    }

    /// The container of the parts of large objects.
    pub(super) fn parts_container(&self) -> String {
        format!("{}+segments", self.container)
    }
}

impl fmt::Debug for Swift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Swift")
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Swift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swift://{}", self.container)
    }
}
