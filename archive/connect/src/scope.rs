//! A call while it runs: what its method needs, and what its response states besides the message.

use crate::codec::{self, Request, Response as Message};
use crate::notes::Notes;
use crate::protocol::Wire;
use crate::status::{Code, Status};
use bytes::Bytes;
use davy_archive::key::Tenant;
use davy_archive::query::{Ask, Query, Report, Run};
use davy_archive::{Error, ErrorKind};
use davy_base::Timestamp;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A call while it runs.
pub(crate) struct Scope {
    pub(crate) query: Query,
    pub(crate) tenant: Tenant,
    pub(crate) run: Run,
    notes: Mutex<Notes>,
}

impl Scope {
    pub(crate) fn new(query: &Query, tenant: Tenant, operation: &'static str) -> Self {
        Self {
            run: Run::begin(query, operation),
            query: query.clone(),
            tenant,
            notes: Mutex::default(),
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.query.clock().now()
    }

    /// Runs `work`, which reads ranges of at most the length of those of `asks`, within the limits of the tenant. Boxed,
    /// because it is a large future.
    pub(crate) fn within<'a, T: Send + 'a>(
        &'a self,
        asks: &[&Ask],
        work: impl Future<Output = Result<T, Status>> + Send + 'a,
    ) -> Pin<Box<dyn Future<Output = Result<T, Status>> + Send + 'a>> {
        let lengths = asks.iter();
        let lengths = lengths.map(|ask| self.query.counted_length(ask.from, ask.until));
        let range = lengths.max().unwrap_or(Duration::ZERO);
        Box::pin(async move {
            let work = async { work.await.map_err(Error::from) };
            Ok(self.run.within(&self.tenant, range, work).await?)
        })
    }

    fn notes(&self) -> std::sync::MutexGuard<'_, Notes> {
        // No holder panics.
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// States what a scan reports.
    pub(crate) fn report(&self, ask: &Ask, report: &Report) {
        self.notes().add(ask, report);
    }

    /// States how values were added up.
    pub(crate) fn aggregated(&self, aggregation: &'static str) {
        self.notes().aggregated(aggregation);
    }

    /// Ends the call, and adds what it states to the headers of its response.
    pub(crate) fn end(self, response: &mut axum::response::Response) {
        self.notes().set_headers(response);
        self.run.end(response);
    }
}

/// Decodes the message of a call, runs its method, and encodes the answer.
pub(crate) async fn unary<Q: Request, A: Message, F>(
    (wire, message): (Wire, &Bytes),
    method: impl FnOnce(Q) -> F,
) -> Result<Bytes, Status>
where
    F: Future<Output = Result<A, Status>>,
{
    let request = codec::decode(wire, message)?;
    let answer = method(request).await?;
    blocking("encode a response", move || codec::encode(wire, &answer)).await?
}

/// Runs `work`, which `task` names, on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(
    task: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Status> {
    davy_tag::spawn_blocking(work).await.map_err(|error| {
        let kind = if error.is_panic() {
            Code::Internal
        } else {
            Code::Unavailable
        };
        Status::new(kind, format!("cannot {task}: {error}"))
    })
}

/// An error of the archive with a message for the caller.
pub(crate) fn invalid(message: impl Into<String>) -> Status {
    Error::new(ErrorKind::Invalid, message).into()
}
