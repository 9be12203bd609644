//! The process context, which tells readers how to decode a record, in a named mapping (OTEP 4719).
//!
//! ```text
//! header   0  "OTEL_CTX", written last
//!          8  version            u32, 2
//!         12  bytes of payload   u32
//!         16  published at       u64, nanoseconds of the clock since boot
//!         24  address of payload u64
//! payload     ProcessContext { Resource resource = 1; repeated KeyValue attributes = 2 }
//! ```

use crate::account::ticks;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

/// The attributes of a thread, by their index in a record.
const KEYS: [&str; 2] = ["davy.member", "davy.op"];
const NAME: &std::ffi::CStr = c"OTEL_CTX";
const SIGNATURE: u64 = u64::from_ne_bytes(*b"OTEL_CTX");
const VERSION: u32 = 2;
/// The schema of the first version of OTEP 4947.
const SCHEMA: &str = "tlsdesc_v1_dev";

#[repr(C)]
struct Header {
    signature: AtomicU64,
    version: u32,
    payload_bytes: u32,
    published_at: u64,
    payload: *const u8,
}

/// Publishes the context of this process, for the rest of its life.
pub(super) fn publish(resource: &[(&str, &str)]) -> io::Result<()> {
    let (header, is_named) = map()?;
    // Leaked, since a reader may access it at any time.
    let payload = Vec::leak(payload(resource));
    // SAFETY: the mapping is new, writable, larger than a header and page-aligned, and nothing else
    // refers to it.
    unsafe {
        header.write(Header {
            signature: AtomicU64::new(0),
            version: VERSION,
            payload_bytes: payload.len() as u32,
            published_at: ticks::boot_nanos().max(1),
            payload: payload.as_ptr(),
        });
        (*header).signature.store(SIGNATURE, Ordering::Release);
    }
    // SAFETY: sets the name of memory that stays mapped for the life of the process.
    let named = unsafe {
        libc::prctl(
            libc::PR_SET_VMA,
            libc::PR_SET_VMA_ANON_NAME as libc::c_ulong,
            header as libc::c_ulong,
            size_of::<Header>() as libc::c_ulong,
            NAME.as_ptr() as libc::c_ulong,
        )
    };
    if named != 0 && !is_named {
        let error = io::Error::last_os_error();
        // SAFETY: the mapping was created above, and nothing else refers to it.
        unsafe { libc::munmap(header.cast(), size_of::<Header>()) };
        return Err(error);
    }
    Ok(())
}

/// Maps memory for the header. Returns whether it already has a name.
fn map() -> io::Result<(*mut Header, bool)> {
    let bytes = size_of::<Header>();
    // SAFETY: the name is a C string.
    let file = unsafe { libc::memfd_create(NAME.as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: the descriptor is open.
    let is_file = file >= 0 && unsafe { libc::ftruncate(file, bytes as libc::off_t) } == 0;
    let (flags, source) = if is_file {
        (libc::MAP_PRIVATE, file)
    } else {
        (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
    };
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: creates a mapping at an address that the kernel chooses.
    let memory = unsafe { libc::mmap(ptr::null_mut(), bytes, access, flags, source, 0) };
    let error = io::Error::last_os_error();
    if file >= 0 {
        // SAFETY: the descriptor was opened above; the mapping no longer needs it.
        unsafe { libc::close(file) };
    }
    if memory == libc::MAP_FAILED {
        return Err(error);
    }
    // A forked child is another process, with its own context or none.
    // SAFETY: the mapping was just created.
    if unsafe { libc::madvise(memory, bytes, libc::MADV_DONTFORK) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((memory.cast(), is_file))
}

fn payload(resource: &[(&str, &str)]) -> Vec<u8> {
    let text = |text: &str| field(1, text.as_bytes());
    let pair = |key: &str, value: &[u8]| [field(1, key.as_bytes()), field(2, value)].concat();
    let attributes = resource
        .iter()
        .map(|(key, value)| field(1, &pair(key, &text(value))));
    let attributes: Vec<Vec<u8>> = attributes.collect();
    let keys: Vec<Vec<u8>> = KEYS.iter().map(|key| field(1, &text(key))).collect();
    let schema = pair("threadlocal.schema_version", &text(SCHEMA));
    // Field 5 of `AnyValue` is an array.
    let keys = pair("threadlocal.attribute_key_map", &field(5, &keys.concat()));
    [
        field(1, &attributes.concat()),
        field(2, &schema),
        field(2, &keys),
    ]
    .concat()
}

/// A length-delimited protobuf field. Encoded here to keep this crate free of dependencies.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    let mut length = bytes.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(bytes);
    out
}
