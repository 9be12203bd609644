//! The listeners of a process, bound before anything else so that a port in use is reported first.

use super::plan::Plan;
use crate::catalogue::{MemberId, PublicListener};
use crate::failure::Failure;
use crate::http::{self, Listener};
use std::net::SocketAddr;

/// The listeners of a process.
pub(crate) struct Listeners {
    /// Those that clients connect to. A child process has `socket` instead.
    pub(crate) public: Vec<(PublicListener, Listener)>,
    /// The socket on which a parent forwards requests.
    pub(crate) socket: Option<Listener>,
    pub(crate) debug: Listener,
    pub(crate) debug_at: SocketAddr,
    pub(crate) http_at: Option<SocketAddr>,
    pub(crate) archive_at: Option<SocketAddr>,
}

impl Listeners {
    /// Binds the listeners that the members of this process and of its children need. Public listeners
    /// run on the workers; the debug port runs on the supervisor, so that it responds while every worker
    /// is busy.
    pub(crate) fn bind(plan: &Plan) -> Result<Self, Failure> {
        let config = &plan.config;
        let (debug, debug_at) = http::bind_near("debug.listen", config.debug_listen)?;
        let _on_workers = plan.workers.enter();
        let mut listeners = Self {
            public: Vec::new(),
            socket: None,
            debug,
            debug_at,
            http_at: None,
            archive_at: None,
        };
        if let Some(parent) = &plan.parent {
            listeners.socket = Some(http::bind_socket(&parent.socket)?);
            return Ok(listeners);
        }
        let specs: Vec<_> = plan.placement.all().map(MemberId::spec).collect();
        let some_opens = specs.iter().any(|spec| spec.opens.is_some());
        // `archive.query` is served by whichever listener another member opens. Only where no member
        // opens one does it get its preferred listener.
        let is_open = |kind: PublicListener| {
            specs.iter().any(|spec| spec.opens == Some(kind))
                || (!some_opens
                    && specs
                        .iter()
                        .any(|spec| spec.listeners.first() == Some(&kind)))
        };
        if is_open(PublicListener::Http) {
            let (listener, at) = http::bind("http.listen", config.http_listen)?;
            listeners.public.push((PublicListener::Http, listener));
            listeners.http_at = Some(at);
        }
        if is_open(PublicListener::Archive) {
            let (listener, at) = http::bind("archive.listen", config.archive_listen)?;
            listeners.public.push((PublicListener::Archive, listener));
            listeners.archive_at = Some(at);
        }
        Ok(listeners)
    }

    /// The addresses for the operator, the page first.
    pub(crate) fn announcement(&self) -> String {
        let debug = format!("debug: http://{}/debug/pprof/", self.debug_at);
        match (self.http_at, self.archive_at) {
            (Some(http), Some(archive)) => {
                format!("http://{http}/ (archive: http://{archive}, {debug})")
            }
            (Some(http), None) => format!("http://{http}/ ({debug})"),
            (None, Some(archive)) => format!("http://{archive} ({debug})"),
            (None, None) => format!("http://{}/debug/pprof/", self.debug_at),
        }
    }
}
