//! The fields of an event that are used.

use super::cursor::Cursor;
use super::metadata::Classes;
use crate::Error;

/// The fields of an event that are used; 0 if it has no such field.
#[derive(Default)]
pub(super) struct Event {
    pub(super) stack: i64,
    pub(super) context: i64,
    pub(super) thread: i64,
    pub(super) state: i64,
    pub(super) size: i64,
    pub(super) tlab_size: i64,
    pub(super) weight: i64,
    /// Ticks.
    pub(super) duration: i64,
    pub(super) samples: i64,
    /// Ticks.
    pub(super) period: i64,
}

impl Event {
    pub(super) fn read(
        class: i64,
        event: &mut Cursor<'_>,
        classes: &Classes,
    ) -> Result<Self, Error> {
        let mut read = Self::default();
        classes.fields(class, event, |field, shape, event| {
            let target = match field {
                "stackTrace" => &mut read.stack,
                "contextId" => &mut read.context,
                "state" => &mut read.state,
                "sampledThread" | "eventThread" => &mut read.thread,
                "allocationSize" | "size" => &mut read.size,
                "tlabSize" => &mut read.tlab_size,
                "weight" => &mut read.weight,
                "duration" => &mut read.duration,
                "samples" => &mut read.samples,
                "samplingPeriod" => &mut read.period,
                _ => return Ok(false),
            };
            *target = classes.number(shape, event)?;
            Ok(true)
        })?;
        Ok(read)
    }
}
