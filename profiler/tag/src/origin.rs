//! The attribution of a sample of a thread: a tag, or untagged work whose tag is determined later.
//!
//! A thread of a pool learns only at the end of a piece of work whom it was for ([`Tag::claim`]). A sample
//! that was taken before refers to the work by a number, its ticket, under which the tag is filed then.

use crate::table::Tag;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tickets that are kept. At 100 samples per second, 16 busy processors use them up in 40 s.
const KEPT: u32 = 1 << 16;
/// Marks a ticket; indices of tags are smaller.
const TICKET: u32 = 1 << 31;
/// An entry packs the upper bits of its ticket, [`CLAIMED`] and a tag, from the highest bits to the lowest.
/// The tag of an entry that is not claimed is the default of its thread.
const SERIES_SHIFT: u32 = 13;
const CLAIMED: u32 = 1 << 12;

static ENTRIES: [AtomicU32; KEPT as usize] = [const { AtomicU32::new(0) }; KEPT as usize];
static NEXT: AtomicU32 = AtomicU32::new(0);

fn entry(ticket: u32) -> (&'static AtomicU32, u32) {
    let number = ticket & !TICKET;
    let series = (number / KEPT) << SERIES_SHIFT;
    (&ENTRIES[(number % KEPT) as usize], series)
}

#[inline]
pub(crate) const fn is_ticket(number: u32) -> bool {
    number & TICKET != 0
}

/// Issues a ticket to a thread with this default tag. Signal-safe.
pub(crate) fn issue(default: u32) -> u32 {
    let ticket = NEXT.fetch_add(1, Ordering::Relaxed) | TICKET;
    let (entry, series) = entry(ticket);
    entry.store(series | default, Ordering::Release);
    ticket
}

/// Files the tag of the work that has a ticket.
pub(crate) fn file(ticket: u32, tag: Tag) {
    let (entry, series) = entry(ticket);
    let before = entry.load(Ordering::Relaxed);
    // A later ticket may have taken the entry.
    if before & !(CLAIMED - 1) == series {
        let after = series | CLAIMED | tag.index();
        let _ = entry.compare_exchange(before, after, Ordering::Release, Ordering::Relaxed);
    }
}

/// What a sample is attributed to, as a number that a signal handler can record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin(u32);

impl Origin {
    /// The tag, if it is known by now; `None` for work that nothing has claimed so far.
    pub fn tag(self) -> Option<Tag> {
        if !is_ticket(self.0) {
            return Some(Tag::from_index(self.0));
        }
        let filed = self.filed().filter(|(_, is_claimed)| *is_claimed);
        filed.map(|(tag, _)| tag)
    }

    /// The tag; of work that nothing has claimed so far, the default of its thread.
    pub fn tag_or_default(self) -> Tag {
        if is_ticket(self.0) {
            self.filed().map_or(Tag::UNTAGGED, |(tag, _)| tag)
        } else {
            Tag::from_index(self.0)
        }
    }

    /// The tag in the entry of the ticket, and whether the ticket is claimed; `None` if a later ticket has
    /// taken the entry.
    fn filed(self) -> Option<(Tag, bool)> {
        let (entry, series) = entry(self.0);
        let filed = entry.load(Ordering::Acquire);
        let is_own = filed >> SERIES_SHIFT == series >> SERIES_SHIFT;
        is_own.then(|| (Tag::from_index(filed & (CLAIMED - 1)), filed & CLAIMED != 0))
    }

    /// The number of this origin.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The origin of a number from [`Origin::number`]; the number of a tag is its [index](Tag::index).
    pub const fn from_number(number: u32) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticket_has_the_filed_tag_until_a_later_ticket_takes_its_entry() {
        let (tag, default) = (Tag::new("origin", "filed"), Tag::new("origin", "default"));
        let (first, second) = (issue(default.index()), issue(0));
        let origin = Origin::from_number(first);
        assert_eq!(origin.tag(), None);
        assert_eq!(origin.tag_or_default(), default);
        file(first, tag);
        file(first, Tag::new("origin", "late"));
        assert_eq!(origin.tag(), Some(tag));
        assert_eq!(origin.tag_or_default(), tag);
        assert_eq!(Origin::from_number(second).tag(), None);
        let (entry, series) = entry(first + KEPT);
        entry.store(series, Ordering::Release);
        assert_eq!(origin.tag(), None, "the entry has a later ticket");
        assert_eq!(origin.tag_or_default(), Tag::UNTAGGED);
        file(first, tag);
        assert_eq!(Origin::from_number(first + KEPT).tag(), None);
    }
}
