//! The time that the threads of an executor spend between tasks, which goes to the task that follows.
//!
//! When no task is ready, a thread of an executor parks: it waits in the kernel, receives the events of
//! sockets and timers, and wakes tasks. That costs about a tenth of the CPU time of a small request. It is
//! counted from the park until the thread polls a tagged future. Work of untagged tasks in between is not
//! included: it stays untagged.

use crate::account::{self, ledger};
use crate::current;
use crate::origin;
use crate::table::Tag;
use std::cell::Cell;

thread_local! {
    /// The ticket of samples taken while the thread was parked, or 0.
    static TICKET: Cell<u32> = const { Cell::new(0) };
}

/// Tells that the calling thread of an executor parks. Call [`thread_unparks`] when it continues.
///
/// [`attribute_parking`](crate::attribute_parking) installs both in a tokio runtime.
pub fn thread_parks() {
    if !current::is_tagged() && account::is_on() && ledger::is_open() {
        // Samples of untagged tasks must not get the ticket of this park, nor the other way round.
        current::take_ticket();
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
        current::set_parked();
    }
}

/// Attributes the parks of the calling thread so far to a tag.
pub(crate) fn assign(tag: Tag) {
    let ticket = TICKET.with(Cell::take);
    if ticket != 0 {
        origin::file(ticket, tag);
    }
    ledger::assign_parks(tag.index());
}
