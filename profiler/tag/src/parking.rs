//! The time that the threads of an executor spend between tasks, which goes to the task that follows.
//!
//! When no task is ready, a thread of an executor parks: it waits in the kernel, receives the events of
//! sockets and timers, and wakes tasks. That costs about a tenth of the CPU time of a small request. It is
//! counted from the park until the thread polls a tagged future. Work of untagged tasks in between is not
//! included: it stays untagged. What the executor does just before and after a park, such as waking another
//! thread, is included if it takes less than 50 us.

use crate::account::{self, ledger};
use crate::current;
use crate::origin;
use crate::table::Tag;
use std::cell::Cell;

thread_local! {
    /// The ticket of samples taken while the thread was parked, or 0.
    static TICKET: Cell<u32> = const { Cell::new(0) };
    /// The ticket of samples taken just before or after that, or 0.
    static NEAR_TICKET: Cell<u32> = const { Cell::new(0) };
    /// Whether the thread has done nothing known since it was parked.
    static HAS_UNPARKED: Cell<bool> = const { Cell::new(false) };
}

/// Tells that the calling thread of an executor parks. Call [`thread_unparks`] when it continues.
///
/// [`attribute_parking`](crate::attribute_parking) installs both in a tokio runtime.
pub fn thread_parks() {
    if !current::is_tagged() && account::is_on() && ledger::is_open() {
        HAS_UNPARKED.with(|unparked| unparked.set(false));
        // Samples of untagged tasks must not get the ticket of this park, nor the other way round.
        include_segment();
        let ticket = TICKET.with(Cell::take);
        if ticket != 0 {
            current::set_ticket(ticket);
        }
        ledger::parks();
    }
}

/// Tells that the calling thread of an executor continues after [`thread_parks`].
pub fn thread_unparks() {
    if !current::is_tagged() && account::is_on() && ledger::unparks() {
        TICKET.with(|ticket| ticket.set(current::take_ticket().unwrap_or(0)));
        HAS_UNPARKED.with(|unparked| unparked.set(true));
        current::set_parked();
    }
}

/// The calling thread begins to poll a future. What it did since it was parked becomes part of the park, if it is short.
pub(crate) fn ends() {
    if HAS_UNPARKED.with(Cell::take) {
        include_segment();
    }
}

/// Makes the untagged segment in progress a part of the parks, with its samples, if it is short. Otherwise its samples stay
/// untagged.
fn include_segment() {
    let ticket = current::take_ticket();
    if ledger::include_in_parks()
        && let Some(ticket) = ticket
    {
        NEAR_TICKET.with(|near| near.set(ticket));
    }
}

/// Attributes the parks of the calling thread so far to a tag.
pub(crate) fn assign(tag: Tag) {
    for ticket in [&TICKET, &NEAR_TICKET] {
        let ticket = ticket.with(Cell::take);
        if ticket != 0 {
            origin::file(ticket, tag);
        }
    }
    ledger::assign_parks(tag.index());
}
