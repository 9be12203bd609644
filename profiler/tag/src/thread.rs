//! Default tags of threads: the tag of work that has no tag and that no tagged future waits for.

use crate::account::{self, ledger};
use crate::current;
use crate::table::Tag;
use std::cell::Cell;
use std::sync::{PoisonError, RwLock};
use std::task::Waker;

/// Maximum number of rules.
const RULES_MAX: usize = 64;

#[cfg_attr(
    not(any(test, all(feature = "threads", target_os = "linux"))),
    expect(dead_code, reason = "rules are applied by the feature `threads`")
)]
struct Rule {
    /// Start of the name, or the whole name if it is not a prefix.
    name: Vec<u8>,
    is_prefix: bool,
    tag: Tag,
}

/// Blocking threads of tokio run the work of others than the one that started them.
#[cfg(any(test, all(feature = "threads", target_os = "linux")))]
const BUILT_IN: &[u8] = b"tokio-rt-worker";

static RULES: RwLock<Vec<Rule>> = RwLock::new(Vec::new());

thread_local! {
    static INHERITANCE: Cell<Inheritance> = const { Cell::new(Inheritance::None) };
}

/// Whether the default tag of a thread is that of the thread that started it.
#[cfg_attr(
    not(any(test, all(feature = "threads", target_os = "linux"))),
    expect(dead_code, reason = "threads inherit by the feature `threads`")
)]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inheritance {
    None,
    Inherited,
    /// The thread has woken a future with that tag.
    Delivered,
}

impl Tag {
    /// Makes this the tag of the calling thread's work that has no other: outside of guards and tagged
    /// futures, and not claimed by one that waited for it. [`Tag::UNTAGGED`] removes a default.
    pub fn set_thread_default(self) {
        set_default(self, Inheritance::None);
    }
}

fn set_default(tag: Tag, inheritance: Inheritance) {
    INHERITANCE.with(|own| own.set(inheritance));
    let base = current::set_default(tag);
    let is_counted = base != 0 || ledger::is_open();
    if is_counted && account::is_on() && !current::is_tagged() {
        ledger::switched(base);
    }
}

/// Wakes a future with this tag, which claims the work of the calling thread.
#[inline]
pub(crate) fn wake(tag: Tag, waker: &Waker) {
    // The threads of an executor wake futures for other reasons, too: their driver wakes those whose socket
    // is ready, after work for other tasks.
    let is_claim = !current::is_tagged() && !ledger::has_polled();
    waker.wake_by_ref();
    if is_claim {
        claim_for_woken(tag);
    }
}

/// Claims the work of the calling thread for a future with this tag, which it has woken.
///
/// A thread that was started by tagged work belongs to that work, whomever else it wakes. But if it wakes
/// others after it has delivered a result, it is a thread of a pool, which works for one after the other.
pub(crate) fn claim_for_woken(tag: Tag) {
    let is_starter = current::default() == tag.index();
    match INHERITANCE.with(Cell::get) {
        Inheritance::None => tag.claim(),
        Inheritance::Inherited if !is_starter => {}
        Inheritance::Inherited | Inheritance::Delivered => {
            tag.claim();
            if is_starter {
                INHERITANCE.with(|own| own.set(Inheritance::Delivered));
            } else {
                set_default(Tag::UNTAGGED, Inheritance::None);
            }
        }
    }
}

/// Gives threads whose name matches `pattern` a default tag, from when they get the name. A `*` at the end of
/// the pattern matches any rest; the system keeps the first 15 bytes of a name. [`Tag::UNTAGGED`] gives them
/// none, not even that of the thread that started them. Of several matching rules, the last one counts.
///
/// Returns `false` if there are 64 rules already. Needs the feature `threads`: a thread that was named before
/// or without it is not affected.
pub fn add_thread_rule(pattern: &str, tag: Tag) -> bool {
    let mut rules = RULES.write().unwrap_or_else(PoisonError::into_inner);
    let prefix = pattern.strip_suffix('*');
    let name = prefix.unwrap_or(pattern).as_bytes();
    let rule = Rule {
        name: name[..name.len().min(NAME_BYTES)].to_vec(),
        is_prefix: prefix.is_some() || name.len() > NAME_BYTES,
        tag,
    };
    rules.retain(|known| (&known.name, known.is_prefix) != (&rule.name, rule.is_prefix));
    let has_space = rules.len() < RULES_MAX;
    if has_space {
        rules.push(rule);
    }
    has_space
}

/// Length of a thread's name in the kernel, without the final zero.
const NAME_BYTES: usize = 15;

/// The calling thread was started by one with this tag.
#[cfg(any(test, all(feature = "threads", target_os = "linux")))]
pub(crate) fn inherit(tag: Tag) {
    set_default(tag, Inheritance::Inherited);
}

/// The calling thread got a name.
#[cfg(any(test, all(feature = "threads", target_os = "linux")))]
pub(crate) fn named(name: &[u8]) {
    let name = &name[..name.len().min(NAME_BYTES)];
    let rules = RULES.read().unwrap_or_else(PoisonError::into_inner);
    let matches = |rule: &&Rule| {
        if rule.is_prefix {
            name.starts_with(&rule.name)
        } else {
            name == rule.name
        }
    };
    let found = rules.iter().rev().find(matches).map(|rule| rule.tag);
    let built_in = (name == BUILT_IN).then_some(Tag::UNTAGGED);
    if let Some(tag) = found.or(built_in) {
        set_default(tag, Inheritance::None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::Origin;

    fn default_of(name: &'static [u8], inherited: Tag) -> Tag {
        let thread = std::thread::spawn(move || {
            inherit(inherited);
            named(name);
            crate::current()
        });
        thread.join().expect("thread ended")
    }

    #[test]
    fn name_decides_the_default_before_the_starting_thread_does() {
        let (database, parent) = (Tag::new("database", ""), Tag::new("api", "List"));
        assert!(add_thread_rule("sqlx-*", database));
        assert!(add_thread_rule("exactly", database));
        assert!(add_thread_rule("longer-than-fifteen-bytes", database));
        assert_eq!(default_of(b"sqlx-sqlite-worker-3", parent), database);
        assert_eq!(default_of(b"exactly", parent), database);
        assert_eq!(default_of(b"exactly-not", parent), parent);
        assert_eq!(default_of(b"longer-than-fifteen-bytes", parent), database);
        assert_eq!(default_of(BUILT_IN, parent), Tag::UNTAGGED);
        assert!(add_thread_rule("tokio-*", database));
        assert_eq!(default_of(BUILT_IN, parent), database);
    }

    #[test]
    fn pool_thread_drops_its_inherited_tag_when_it_runs_a_task_of_another_tag() {
        let (first, second) = (Tag::new("thread", "first"), Tag::new("thread", "second"));
        let thread = std::thread::spawn(move || {
            inherit(first);
            let logs = Origin::of_this_thread();
            claim_for_woken(second);
            assert_eq!(logs.tag(), None);
            assert_eq!(logs.tag_or_default(), first);
            claim_for_woken(first);
            assert_eq!(logs.tag(), Some(first));
            assert_eq!(crate::current(), first, "may have more to do");
            let other = Origin::of_this_thread();
            claim_for_woken(second);
            assert_eq!(other.tag(), Some(second));
            crate::current()
        });
        assert!(thread.join().expect("thread ended").is_untagged());
    }
}
