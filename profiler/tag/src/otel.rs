//! The tag of each thread, for profilers of other processes: OpenTelemetry's thread context.
//!
//! A profiler that samples from the kernel (by eBPF) knows stacks and threads, not members. It reads,
//! for a thread that it has stopped, a thread-local that is found by its name, and what that points to
//! (OTEP 4947); how to decode it says a mapping that is found by its name as well (OTEP 4719).
//!
//! ```text
//! otel_thread_ctx_v1 -> record, or null where untagged
//!
//! record   0  trace id, span id   24 zeroes: no trace is known here
//!         24  valid               1
//!         25  trace flags         0
//!         26  bytes that follow   u16
//!         28  0, length, member; 1, length, operation
//! ```
//!
//! There is one record for each tag, made when a thread first takes the tag, and never changed. So a
//! change of hands is one store of a pointer more, and what a reader finds is always whole.

mod context;

use crate::table::{MAX_TAGS, Tag};
use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// The attributes of a thread, by the index that a record has for them.
const KEYS: [&str; 2] = ["davy.member", "davy.op"];
/// A length has one byte.
const VALUE_BYTES_MAX: usize = 255;
const HEAD_BYTES: usize = 28;
const VALID_AT: usize = 24;
const LENGTH_AT: usize = 26;

static IS_PUBLISHED: AtomicBool = AtomicBool::new(false);
static IS_ON: AtomicBool = AtomicBool::new(false);
/// The record of each tag; null where none was needed yet.
static RECORDS: [AtomicPtr<u8>; MAX_TAGS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_TAGS];

unsafe extern "C" {
    /// Stores the address of this thread's record.
    safe fn davy_tag_otel_attach(record: *const c_void);
}

/// Publishes the tag of each thread from its next change of hands on, for the life of the process, and
/// what readers need to decode it, with attributes of the process such as `service.name`.
///
/// The program must be linked so that readers find the thread-local; its `build.rs` says:
/// `println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");`.
///
/// Fails where a context was published already, for a process has one, and where the system has
/// neither `memfd_create` nor names for anonymous memory.
pub fn publish(resource: &[(&str, &str)]) -> io::Result<()> {
    if IS_PUBLISHED.swap(true, Ordering::AcqRel) {
        let reason = "the context of this process was published already";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
    }
    let published = context::publish(resource);
    IS_PUBLISHED.store(published.is_ok(), Ordering::Release);
    IS_ON.store(published.is_ok(), Ordering::Release);
    published
}

/// This thread changed hands.
#[inline]
pub(crate) fn switched(tag: u32) {
    if IS_ON.load(Ordering::Relaxed) {
        davy_tag_otel_attach(record(tag).cast());
    }
}

#[inline]
fn record(tag: u32) -> *const u8 {
    let known = RECORDS[tag as usize % MAX_TAGS].load(Ordering::Acquire);
    if known.is_null() && tag != Tag::UNTAGGED.index() {
        return make(tag);
    }
    known
}

/// Two threads may make the same record at once; one of them stays, and both are as good. Leaked, as
/// the names are: at most 2 MiB for all tags.
#[cold]
fn make(tag: u32) -> *const u8 {
    let bytes = encode(Tag::from_index(tag));
    // Of `u16`, so that the record is aligned as it must be.
    let words: Vec<u16> = bytes
        .chunks(2)
        .map(|pair| u16::from_ne_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
        .collect();
    let record = Vec::leak(words).as_mut_ptr().cast::<u8>();
    RECORDS[tag as usize % MAX_TAGS].store(record, Ordering::Release);
    record
}

fn encode(tag: Tag) -> Vec<u8> {
    let mut record = vec![0; HEAD_BYTES];
    record[VALID_AT] = 1;
    for (key, value) in [tag.member(), tag.op()].into_iter().enumerate() {
        let end = (0..=VALUE_BYTES_MAX.min(value.len()))
            .rev()
            .find(|end| value.is_char_boundary(*end));
        let value = &value.as_bytes()[..end.unwrap_or(0)];
        record.extend([key as u8, value.len() as u8]);
        record.extend(value);
    }
    let length = (record.len() - HEAD_BYTES) as u16;
    record[LENGTH_AT..HEAD_BYTES].copy_from_slice(&length.to_ne_bytes());
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_the_bytes_that_the_specification_draws() {
        let record = encode(Tag::new("api", "List"));
        assert_eq!(record[..24], [0; 24]);
        assert_eq!(record[24..26], [1, 0]);
        assert_eq!(record[26..28], 11u16.to_ne_bytes());
        assert_eq!(record[28..], *b"\x00\x03api\x01\x04List");
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let record = encode(Tag::new(&"ä".repeat(128), &"o".repeat(256)));
        assert_eq!(record[28..30], [0, 254]);
        assert_eq!(record[30 + 254..][..2], [1, 255]);
        assert_eq!(record.len(), 28 + 2 + 254 + 2 + 255);
    }
}
