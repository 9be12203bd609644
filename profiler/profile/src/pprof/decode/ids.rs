//! Maps the ids of a profile's messages to indices.

use crate::Error;
use rustc_hash::FxHashMap;

/// The ids of messages, in their order. Nearly every writer counts from 1, which needs no map.
#[derive(Default)]
pub(super) struct Ids {
    count: u32,
    /// Index by id; filled once an id is not its index plus 1.
    sparse: Option<FxHashMap<u64, u32>>,
}

impl Ids {
    /// Adds the id of the next message; `what` names the message in errors.
    pub(super) fn add(&mut self, id: u64, what: &'static str) -> Result<(), Error> {
        let index = self.count;
        self.count += 1;
        if id == 0 {
            let index = index as usize;
            return Err(Error::ZeroId { what, index });
        }
        if self.sparse.is_none() {
            if id == u64::from(self.count) {
                return Ok(());
            }
            self.sparse = Some((0..index).map(|i| (u64::from(i) + 1, i)).collect());
        }
        match self.sparse.as_mut().and_then(|ids| ids.insert(id, index)) {
            Some(_) => Err(Error::DuplicateId { what, id }),
            None => Ok(()),
        }
    }

    /// The index of the message with this id.
    #[inline]
    pub(super) fn index(&self, id: u64) -> Option<u32> {
        match &self.sparse {
            None => (1..=u64::from(self.count))
                .contains(&id)
                .then(|| id as u32 - 1),
            Some(ids) => ids.get(&id).copied(),
        }
    }
}
