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

    /// Gives back the memory of the pages that were read; the next read of a page takes it from the file again.
    pub(crate) fn release_pages(&self) {
        if self.len > 0 {
            // SAFETY: the range is that of the mapping, which is shared and only read: its content is that of the file
            // before and after, also for another thread that is reading it.
            unsafe { libc::madvise(self.start, self.len, libc::MADV_DONTNEED) };
        }
    }
}

#[cfg(test)]
impl Mapped {
    /// Memory of the pages that this process holds, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let start = format!("{:x}-", self.start as usize);
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("readable");
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
        let resident = lines.find_map(|line| line.strip_prefix("Rss:"));
        let kib = resident.and_then(|resident| resident.split_whitespace().next());
        kib.expect("a figure").parse().expect("a number")
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

    #[test]
    fn pages_that_were_read_are_given_back_and_can_be_read_again() {
        let mut file = tempfile::tempfile().expect("a file");
        let content: Vec<u8> = (0..1_u32 << 18).flat_map(u32::to_le_bytes).collect();
        file.write_all(&content).expect("written");
        // SAFETY: the file is not written any more.
        let mapped = unsafe { Mapped::new(&file) }.expect("a map");
        assert!(*mapped == *content);
        assert_eq!(mapped.resident_kib(), 1024);
        mapped.release_pages();
        assert_eq!(mapped.resident_kib(), 0);
        assert!(*mapped == *content);
    }
}
