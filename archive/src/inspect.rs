//! Lists and verifies all segments and blocks of a bucket.

use crate::archive::Archive;
use crate::blocking::blocking;
use crate::bucket::{Bucket, ReadError};
use crate::error::{Error, Result};
use crate::format::Table;
use crate::format::tables::{Dictionary, SeriesTable, Values, WindowTable};
use crate::key::{Hour, Tenant};
use crate::rule::select;
use serde::Serialize;

/// A segment or a block.
#[derive(Clone, Debug, Serialize)]
pub struct Item {
    /// The tenant, encoded as in keys.
    pub tenant: String,
    /// `YYYY-MM-DD/HH`.
    pub hour: String,
    /// `segment` or `block`.
    pub kind: &'static str,
    /// Name of the segment or block.
    pub name: String,
    /// Size in bytes.
    pub bytes: u64,
    /// Number of segments whose windows it holds.
    pub segments: usize,
    /// Whether queries read it; if not, a block covers it.
    pub read: bool,
    /// The fault that [`Archive::verify`] found.
    pub fault: Option<String>,
}

impl Archive {
    /// Lists every segment and block of every tenant.
    pub async fn ls(&self) -> Result<Vec<Item>> {
        self.items(false).await
    }

    /// Lists every segment and block after reading it completely: checksums, references, order.
    pub async fn verify(&self) -> Result<Vec<Item>> {
        self.items(true).await
    }

    async fn items(&self, verify: bool) -> Result<Vec<Item>> {
        let bucket = self.bucket();
        let mut items = Vec::new();
        for tenant in bucket.tenants().await? {
            let folders = [
                bucket.keys.segments(&tenant, None),
                bucket.keys.blocks(&tenant, None),
            ];
            let (hours, faults) = bucket.listing(&tenant, &folders).await?;
            let item = |kind, hour: &Hour| Item {
                tenant: tenant.key().to_owned(),
                hour: hour.to_string(),
                kind,
                name: String::new(),
                bytes: 0,
                segments: 1,
                read: true,
                fault: None,
            };
            for fault in faults {
                items.push(Item {
                    fault: Some(fault),
                    hour: String::new(),
                    ..item("block", &Hour(0))
                });
            }
            for (hour, listing) in &hours {
                let read = select(listing);
                for (at, block) in listing.blocks.iter().enumerate() {
                    let fault = if verify {
                        verify_block(bucket, &tenant, *hour, block).await.err()
                    } else {
                        None
                    };
                    items.push(Item {
                        name: block.id.0.clone(),
                        bytes: block.bytes,
                        segments: block.leaves.len(),
                        read: read.blocks.contains(&at),
                        fault: fault.map(sentence),
                        ..item("block", hour)
                    });
                }
                for (at, segment) in listing.segments.iter().enumerate() {
                    let fault = if verify {
                        verify_segment(bucket, &tenant, *hour, segment.name)
                            .await
                            .err()
                    } else {
                        None
                    };
                    items.push(Item {
                        name: segment.name.to_string(),
                        bytes: segment.bytes,
                        read: read.segments.contains(&at),
                        fault: fault.map(sentence),
                        ..item("segment", hour)
                    });
                }
            }
        }
        Ok(items)
    }
}

fn sentence(error: ReadError) -> String {
    match error {
        ReadError::Gone => "deleted while it was read".to_owned(),
        ReadError::Failed(error) => error.message,
    }
}

async fn verify_segment(
    bucket: &Bucket,
    tenant: &Tenant,
    hour: Hour,
    name: ulid::Ulid,
) -> Result<(), ReadError> {
    let segment = bucket.segment(tenant, hour, name).await?;
    let check = move || {
        let series = SeriesTable::read(&segment.table(Table::Series)?)?;
        let windows = WindowTable::read(&segment.table(Table::Windows)?, &series)?;
        let dictionary = Dictionary::read(&segment.stacks()?)?;
        Values::samples(
            &segment.table(Table::Samples)?,
            &series,
            &windows,
            Some(&dictionary),
        )
        .map(|_| ())
    };
    Ok(blocking("verify a segment", check).await??)
}

async fn verify_block(
    bucket: &Bucket,
    tenant: &Tenant,
    hour: Hour,
    block: &crate::rule::BlockEntry,
) -> Result<(), ReadError> {
    let meta = bucket.meta(tenant, hour, &block.id).await?;
    for group in 0..meta.groups.len() {
        let table = |table| bucket.group((tenant, hour.into(), &block.id), &meta, table, group);
        let stacks = bucket.stacks((tenant, hour.into(), &block.id), &meta, group);
        let (series, windows, stacks, samples, sums) = futures_util::try_join!(
            table(Table::Series),
            table(Table::Windows),
            stacks,
            table(Table::Samples),
            table(Table::Sums)
        )?;
        let check = move || {
            let series = SeriesTable::read(&series)?;
            let windows = WindowTable::read(&windows, &series)?;
            let dictionary = Dictionary::read(&stacks)?;
            let samples = Values::samples(&samples, &series, &windows, Some(&dictionary))?;
            let sums = Values::sums(&sums, &series, Some(&dictionary))?;
            let total = |values: &[i64]| {
                values
                    .iter()
                    .fold(0i128, |sum, value| sum + i128::from(*value))
            };
            if total(&samples.values) != total(&sums.values) {
                return Err(Error::corrupt("the sums differ from the samples"));
            }
            Ok(())
        };
        blocking("verify a block", check).await??;
    }
    Ok(())
}
