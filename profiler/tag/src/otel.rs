//! Publishes the tag of each thread to profilers in other processes, as OpenTelemetry's thread context.
//!
//! A profiler that samples in the kernel (with eBPF) knows stacks and threads, but not members. When it
//! interrupts a thread, it reads a thread-local with a well-known name, and the record that it points to
//! (OTEP 4947). A memory mapping with a well-known name describes how to decode records (OTEP 4719).
//!
//! ```text
//! otel_thread_ctx_v1 -> record, or null if untagged
//!
//! record   0  trace id, span id   24 zeros: traces are not known here
//!         24  valid               1
//!         25  trace flags         0
//!         26  length of the rest  u16
//!         28  0, length, member; 1, length, operation
//! ```
//!
//! Each tag has one record, which is created when a thread first uses the tag, and never changed. So a
//! change of tags costs one additional store of a pointer, and readers always find a complete record.

mod context;

use crate::table::{MAX_TAGS, Tag};
use std::ffi::c_void;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

/// Lengths of values are single bytes.
const VALUE_BYTES_MAX: usize = 255;
const HEAD_BYTES: usize = 28;
const VALID_AT: usize = 24;
const LENGTH_AT: usize = 26;

static IS_PUBLISHED: AtomicBool = AtomicBool::new(false);
static IS_ON: AtomicBool = AtomicBool::new(false);
/// The record of each tag; null before its first use.
static RECORDS: [AtomicPtr<u8>; MAX_TAGS] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_TAGS];

unsafe extern "C" {
    /// Sets the record of the calling thread.
    safe fn davy_tag_otel_attach(record: *const c_void);
}

/// Publishes the tag of each thread, from its next change on, for the rest of the process's life, with
/// attributes of the process such as `service.name`.
///
/// The program must export the thread-local so that readers find it; add to its `build.rs`:
/// `println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol=otel_thread_ctx_v1");`.
///
/// Fails if a context has already been published, since a process has only one, and if the system
/// supports neither `memfd_create` nor names of anonymous memory.
pub fn publish(resource: &[(&str, &str)]) -> io::Result<()> {
    if IS_PUBLISHED.swap(true, Ordering::AcqRel) {
        let reason = "an OpenTelemetry process context has already been published";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, reason));
    }
    let published = context::publish(resource);
    IS_PUBLISHED.store(published.is_ok(), Ordering::Release);
    IS_ON.store(published.is_ok(), Ordering::Release);
    published
}

/// Publishes the new tag of the calling thread.
#[inline]
pub(crate) fn switched(tag: u32) {
    if IS_ON.load(Ordering::Relaxed) {
        // A thread's default is marked by a higher bit.
        davy_tag_otel_attach(record(tag % MAX_TAGS as u32).cast());
    }
}

#[inline]
fn record(tag: u32) -> *const u8 {
    let known = RECORDS[tag as usize % MAX_TAGS].load(Ordering::Acquire);
    if known.is_null() && tag != Tag::UNTAGGED.index() {
        return create(tag);
    }
    known
}

/// Creates a record. Two threads may do so concurrently; the records are equal, and either may be kept.
/// Leaked, like the names: at most 2 MiB for all tags.
#[cold]
fn create(tag: u32) -> *const u8 {
    let bytes = encode(Tag::from_index(tag));
    // A vector of `u16`, for the required alignment.
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
    fn record_has_the_layout_of_the_specification() {
        let record = encode(Tag::new("api", "List"));
        assert_eq!(record[..24], [0; 24]);
        assert_eq!(record[24..26], [1, 0]);
        assert_eq!(record[26..28], 11u16.to_ne_bytes());
        assert_eq!(record[28..], *b"\x00\x03api\x01\x04List");
    }

    #[test]
    fn long_names_are_truncated_at_a_character_boundary() {
        let record = encode(Tag::new(&"ä".repeat(128), &"o".repeat(256)));
        assert_eq!(record[28..30], [0, 254]);
        assert_eq!(record[30 + 254..][..2], [1, 255]);
        assert_eq!(record.len(), 28 + 2 + 254 + 2 + 255);
    }
}
