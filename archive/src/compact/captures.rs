//! Deletes the captures whose retention, that of days, is over.

use super::compactor::Compactor;
use super::expire::{Outcome, Retained};
use crate::error::Result;
use crate::key::{Day, Tenant};
use crate::plan::retention::Reason;
use object_store::path::Path;

impl Compactor {
    /// Deletes the captures of a tenant that have expired, or only says what would be deleted.
    pub(super) async fn expire_captures(
        &self,
        tenant: &Tenant,
        dry_run: bool,
    ) -> Result<Vec<Retained>> {
        let keys = &self.bucket.keys;
        let (now, kept) = (self.options.clock.now(), self.retention().days);
        let days = self.bucket.folders(&keys.captures(tenant)).await?;
        let days = days.iter().filter_map(|day| Day::parse(day));
        let mut all = Vec::new();
        for day in days.filter(|day| day.end().plus(kept) <= now) {
            for object in self.bucket.list(&keys.captures_of_day(tenant, day)).await? {
                let outcome = if dry_run {
                    Outcome::Due
                } else {
                    self.delete_capture(tenant, &object.location).await
                };
                all.push(Retained {
                    tenant: tenant.key().to_owned(),
                    period: day.to_string(),
                    kind: "capture",
                    name: object.location.filename().unwrap_or_default().to_owned(),
                    bytes: object.size,
                    rule: String::new(),
                    series: 0,
                    reason: Reason::Days.text(),
                    because: Reason::Days,
                    outcome,
                });
            }
        }
        Ok(all)
    }

    async fn delete_capture(&self, tenant: &Tenant, key: &Path) -> Outcome {
        match self.bucket.delete(key).await {
            Ok(()) => {
                self.metrics.deleted.with_label_values(&["capture"]).inc();
                Outcome::Deleted
            }
            Err(error) => {
                tracing::warn!(tenant = tenant.key(), %error, "delete failed");
                Outcome::Failed(error.to_string())
            }
        }
    }
}
