//! The listeners of a process, bound before anything else so that a taken port is told at once.

use super::Plan;
use crate::catalogue::{self, Door};
use crate::cli::Failure;
use crate::http::{self, Listener};
use std::net::SocketAddr;

/// What a process listens on.
pub(crate) struct Doors {
    /// For everybody; a child has its parent's socket in their place.
    pub(crate) public: Vec<(Door, Listener)>,
    pub(crate) socket: Option<Listener>,
    pub(crate) debug: Listener,
    pub(crate) debug_at: SocketAddr,
    pub(crate) http_at: Option<SocketAddr>,
    pub(crate) archive_at: Option<SocketAddr>,
}

impl Doors {
    /// Binds what the members of this process and of its children need. Requests come in on the
    /// workers; the debug port is the supervisor's, so that it answers whatever the workers do.
    pub(crate) fn bind(plan: &Plan) -> Result<Self, Failure> {
        let config = &plan.config;
        let (debug, debug_at) = http::bind_near("debug.listen", config.debug_listen)?;
        let _on_workers = plan.workers.enter();
        let mut doors = Self {
            public: Vec::new(),
            socket: None,
            debug,
            debug_at,
            http_at: None,
            archive_at: None,
        };
        if let Some(parent) = &plan.parent {
            doors.socket = Some(http::bind_socket(&parent.socket)?);
            return Ok(doors);
        }
        let entries: Vec<_> = plan.placement.all().filter_map(catalogue::find).collect();
        let opens = |door: Door| entries.iter().any(|entry| entry.opens == Some(door));
        let some_opens = entries.iter().any(|entry| entry.opens.is_some());
        // Queries come in by the page's door in a frontend, by the archive's in an archiver, and have
        // to come in somewhere where they are alone.
        let opened = |door: Door| {
            opens(door)
                || (!some_opens
                    && entries
                        .iter()
                        .any(|entry| entry.doors.first() == Some(&door)))
        };
        if opened(Door::Http) {
            let (listener, at) = http::bind("http.listen", config.http_listen)?;
            doors.public.push((Door::Http, listener));
            doors.http_at = Some(at);
        }
        if opened(Door::Archive) {
            let (listener, at) = http::bind("archive.listen", config.archive_listen)?;
            doors.public.push((Door::Archive, listener));
            doors.archive_at = Some(at);
        }
        Ok(doors)
    }

    /// Where they are, for people; the page's first.
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
