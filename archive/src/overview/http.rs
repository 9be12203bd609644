//! The route of the overview, which keeps each response for a minute.

use super::gather::gather;
use super::model::Overview;
use crate::answer::{PARTIAL, problem, set_header};
use crate::archive::Archive;
use crate::error::{Error, ErrorKind, Result};
use crate::ingest::tenant;
use crate::key::Tenant;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::{Mutex, Semaphore};

/// How long a response is kept.
const KEPT: Duration = Duration::from_mins(1);
/// Maximum number of tenants whose responses are kept.
const TENANTS: usize = 64;
/// Number of tenants that are listed at the same time.
const AT_ONCE: usize = 2;

/// The response of a tenant, and when it was made.
type Slot = Arc<Mutex<Option<(Duration, Arc<Overview>)>>>;

#[derive(Clone)]
struct Overviews {
    archive: Archive,
    slots: Arc<std::sync::Mutex<BTreeMap<Tenant, Slot>>>,
    listing: Arc<Semaphore>,
}

/// The route of `/api/v1/archive`.
pub fn overview_router(archive: &Archive) -> Router {
    let overviews = Overviews {
        archive: archive.clone(),
        slots: Arc::default(),
        listing: Arc::new(Semaphore::new(AT_ONCE)),
    };
    Router::new()
        .route("/api/v1/archive", get(answer))
        .with_state(overviews)
}

async fn answer(State(overviews): State<Overviews>, request: Request) -> Response {
    let (request, _body) = request.into_parts();
    let answered = async {
        let tenant = tenant(&request.headers)?;
        Box::pin(overviews.of(&tenant)).await
    };
    match answered.await {
        Ok(overview) => {
            let partial = overview.partial.join("; ");
            let mut response = Json(&*overview).into_response();
            set_header(&mut response, PARTIAL, &partial);
            response
        }
        Err(error) => problem(&error),
    }
}

impl Overviews {
    fn slot(&self, tenant: &Tenant) -> Slot {
        // No holder panics.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= TENANTS && !slots.contains_key(tenant) {
            // Those that nobody waits for. Their tenants are listed again.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(tenant.clone()).or_default())
    }

    /// The overview of a tenant, which is at most [`KEPT`] old. Requests of the same tenant wait for each other.
    async fn of(&self, tenant: &Tenant) -> Result<Arc<Overview>> {
        let slot = self.slot(tenant);
        let mut kept = slot.lock().await;
        let now = self.archive.monotonic();
        if let Some((made, overview)) = &*kept
            && now.saturating_sub(*made) < KEPT
        {
            return Ok(Arc::clone(overview));
        }
        let permit = self.listing.acquire().await;
        let _permit = permit.map_err(|error| {
            Error::caused(ErrorKind::Internal, "cannot wait for other listings", error)
        })?;
        let overview = Arc::new(gather(&self.archive, tenant).await?);
        *kept = Some((now, Arc::clone(&overview)));
        Ok(overview)
    }
}
