//! Attributes untagged work to a tag after it was done.

use crate::account::{self, ledger};
use crate::current;
use crate::origin;
use crate::table::Tag;

impl Tag {
    /// Attributes the untagged work of the calling thread to this tag: its CPU time, its allocated bytes and
    /// its CPU samples since the thread's last tag or claim ended. Does nothing if the thread has a tag now.
    ///
    /// Futures do this by themselves ([`Tagged`](crate::Tagged)): a thread that runs no tagged futures and
    /// wakes one has worked for it. Call this on a thread of your own that learns only afterwards whom a
    /// piece of work was for.
    pub fn claim(self) {
        if !current::is_tagged() && !self.is_untagged() {
            file(self);
            if account::is_on() {
                ledger::claims::claimed(self.index());
            }
        }
    }
}

/// Files the tag of the samples of the calling thread's untagged work.
pub(crate) fn file(tag: Tag) {
    if let Some(ticket) = current::take_ticket() {
        origin::file(ticket, tag);
    }
}
