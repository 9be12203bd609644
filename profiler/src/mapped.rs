//! A file that is mapped into memory.
//!
//! The crate memmap2 does more, and would be one more crate in every program that links this one.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

/// The content of a file, read in place.
#[derive(Debug)]
pub(crate) struct Mapped {
    start: *mut libc::c_void,
    len: usize,
}

// SAFETY: the memory is only read, and belongs to this value alone.
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps a whole file. A file without content has no bytes.
    ///
    /// # Safety
    ///
    /// The file must not be changed or truncated while the value exists.
    pub(crate) unsafe fn new(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len())
            .map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        if len == 0 {
            let start = std::ptr::null_mut();
            return Ok(Self { start, len });
        }
        // SAFETY: a new mapping at an address of the kernel's choice replaces nothing.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start, len })
    }

    /// Lets the kernel read no more than the pages that are touched.
    pub(crate) fn expect_random_reads(&self) {
        if self.len > 0 {
            // SAFETY: the range is that of the mapping. The advice changes no content; without it, more is read.
            unsafe { libc::madvise(self.start, self.len, libc::MADV_RANDOM) };
        }
    }
}

impl std::ops::Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.len == 0 {
            return &[];
        }
        // SAFETY: the mapping has this length, is readable, and lives as long as `self`; the caller of `new`
        // promised that the file does not change.
        unsafe { std::slice::from_raw_parts(self.start.cast::<u8>(), self.len) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the mapping was made by `new`, and no slice of it outlives `self`.
            unsafe { libc::munmap(self.start, self.len) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn content_of_a_file_is_readable_and_an_empty_file_has_none() {
        let mut file = tempfile::tempfile().expect("a file");
        // SAFETY: the value is dropped before the file is written.
        assert_eq!(&*unsafe { Mapped::new(&file) }.expect("an empty map"), b"");
        file.write_all(b"flame").expect("written");
        // SAFETY: the file is not written any more.
        let mapped = unsafe { Mapped::new(&file) }.expect("a map");
        mapped.expect_random_reads();
        assert_eq!(&*mapped, b"flame");
    }
}
