//! Damaged inputs: they are copied to the quarantine, and the merge goes on without them.
//!
//! The block that is written instead counts their segments as held and names them, so that nothing waits for them,
//! queries keep reporting them, and the originals are deleted as any other input.

use super::compactor::{Compactor, read_error};
use crate::bucket::ReadError;
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::block::Damaged;
use crate::format::segment::Segment;
use crate::key::{BlockId, Hour, META, Period, Tenant};
use object_store::path::Path;
use std::collections::BTreeSet;
use ulid::Ulid;

/// A segment, or a row group of a block.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A segment.
    Segment(Hour, Ulid),
    /// A row group of a block.
    Group(Period, BlockId, usize),
}

impl Place {
    /// Names the place of an error.
    pub(super) fn fails(&self) -> impl Fn(Error) -> Failed + use<> {
        let at = self.clone();
        move |error| Failed {
            at: Some(at.clone()),
            error,
        }
    }

    /// Its name among the inputs of a block.
    fn name(&self) -> String {
        match self {
            Self::Segment(_, name) => name.to_string(),
            Self::Group(_, block, group) => format!("{} group {group}", block.0),
        }
    }
}

/// Why a merge failed, and where.
pub(super) struct Failed {
    pub(super) at: Option<Place>,
    pub(super) error: Error,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { at: None, error }
    }
}

/// The damaged row groups that a merge leaves out.
#[derive(Clone, Debug, Default)]
pub(super) struct Skipped {
    places: BTreeSet<Place>,
    /// The entry about them in the meta object of the block.
    pub(super) damaged: Vec<Damaged>,
}

impl Skipped {
    pub(super) fn contains(&self, place: &Place) -> bool {
        self.places.contains(place)
    }

    /// Part of the hashed name of the block, so that it differs from that of a block with them.
    pub(super) fn inputs(&self) -> impl Iterator<Item = String> {
        self.places
            .iter()
            .map(|of| format!("without {}", of.name()))
    }
}

/// The folder of the quarantine for an error.
fn folder(error: &Error) -> &'static str {
    let says = |text: &str| error.message.contains(text);
    if says("checksum") {
        "checksum"
    } else if says("truncated") || says("EOF") {
        "truncated"
    } else {
        "invalid"
    }
}

impl Compactor {
    /// The block that a merge made. None if it failed because of a damaged row group, which is now skipped: it may be in
    /// the merge in part, so the merge starts over.
    pub(super) async fn made_or_skip(
        &self,
        tenant: &Tenant,
        merged: Result<BlockId, Failed>,
        skipped: &mut Skipped,
    ) -> Result<Option<BlockId>> {
        match merged {
            Ok(made) => Ok(Some(made)),
            Err(Failed { at: None, error }) => Err(error),
            Err(Failed {
                at: Some(at),
                error,
            }) => {
                self.skip(tenant, at, error, skipped).await?;
                Ok(None)
            }
        }
    }

    /// Leaves a damaged row group out of a merge, after its object has been read again and copied to the quarantine.
    /// Fails if it is not damaged.
    async fn skip(
        &self,
        tenant: &Tenant,
        at: Place,
        error: Error,
        skipped: &mut Skipped,
    ) -> Result<()> {
        if !error.is_damage {
            return Err(error);
        }
        let keys = &self.bucket.keys;
        let sources: Vec<Path> = match &at {
            Place::Segment(hour, name) => vec![keys.segment(tenant, *hour, *name)],
            Place::Group(period, block, _) => {
                let tables = Table::ALL.map(Table::file);
                let files = tables.into_iter().chain([META.to_owned()]);
                files
                    .map(|file| keys.block(tenant, *period, block, &file))
                    .collect()
            }
        };
        let reason = folder(&error);
        for key in &sources {
            let bytes = match self.bucket.get_current(key).await {
                Ok(bytes) => bytes,
                // The sums by hour of a day block can have expired.
                Err(ReadError::Gone) if matches!(at, Place::Group(..)) => continue,
                Err(missing) => return Err(read_error(missing)),
            };
            // Damaged on the way, not in the bucket.
            if matches!(at, Place::Segment(..))
                && reason == "checksum"
                && Segment::open(bytes.clone()).is_ok()
            {
                return Err(error);
            }
            let copy = keys.quarantined(tenant, reason, key);
            self.bucket.put(&copy, bytes).await?;
        }
        let key = sources.first().map(ToString::to_string).unwrap_or_default();
        let key = match &at {
            Place::Segment(..) => key,
            Place::Group(_, _, group) => {
                let folder = key.rsplit_once('/').map_or("", |(folder, _)| folder);
                format!("{folder} group {group}")
            }
        };
        tracing::error!(tenant = tenant.key(), key, %error, "damaged object copied to the quarantine");
        self.metrics.quarantined.with_label_values(&[reason]).inc();
        skipped.damaged.push(Damaged {
            key,
            reason: error.message,
        });
        skipped.places.insert(at);
        Ok(())
    }
}
