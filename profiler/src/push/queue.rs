//! Windows that no archiver has acknowledged yet, bounded by their bytes.

use davy_base::Timestamp;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// An encoded window. Its id is part of its body, and so the same each time it is sent.
#[derive(Debug)]
pub(super) struct Window {
    /// The body of its push; none if it is only on disk.
    body: Option<Vec<u8>>,
    file: Option<PathBuf>,
    bytes: usize,
    pub(super) end: Timestamp,
}

impl Window {
    pub(super) fn new(body: Vec<u8>, end: Timestamp) -> Self {
        Self {
            bytes: body.len(),
            body: Some(body),
            file: None,
            end,
        }
    }

    /// A window that an earlier process left on disk.
    pub(super) fn found(file: PathBuf, bytes: usize, end: Timestamp) -> Self {
        Self {
            body: None,
            file: Some(file),
            bytes,
            end,
        }
    }

    /// Notes the file that the window was written to.
    pub(super) fn spooled(&mut self, file: PathBuf, keep_in_memory: bool) {
        self.file = Some(file);
        if !keep_in_memory {
            self.body = None;
        }
    }

    /// The body of its push.
    pub(super) fn body(&self) -> std::io::Result<Cow<'_, [u8]>> {
        match (&self.body, &self.file) {
            (Some(body), _) => Ok(Cow::Borrowed(body)),
            (None, Some(file)) => std::fs::read(file).map(Cow::Owned),
            (None, None) => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn delete(&self) {
        if let Some(file) = &self.file {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// A queue that drops its oldest windows when it exceeds its bound.
#[derive(Debug)]
pub(super) struct Queue {
    windows: VecDeque<Arc<Window>>,
    bytes: usize,
    bytes_max: usize,
    overflowed: u64,
}

impl Queue {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            windows: VecDeque::new(),
            bytes: 0,
            bytes_max,
            overflowed: 0,
        }
    }

    pub(super) fn add(&mut self, window: Window) {
        self.bytes += window.bytes;
        self.windows.push_back(Arc::new(window));
        while self.bytes > self.bytes_max
            && let Some(oldest) = self.windows.pop_front()
        {
            self.bytes -= oldest.bytes;
            oldest.delete();
            self.overflowed += 1;
        }
    }

    /// Removes a window that cannot be read from disk.
    pub(super) fn lost(&mut self, window: &Arc<Window>) {
        self.overflowed += u64::from(self.remove(window));
    }

    /// The windows to send next: at most `count`, and at most `bytes` unless the first alone is larger.
    pub(super) fn first(&self, count: usize, bytes: usize) -> Vec<Arc<Window>> {
        let mut sum = 0;
        let fits = |window: &&Arc<Window>| {
            sum += window.bytes;
            sum <= bytes || sum == window.bytes
        };
        self.windows
            .iter()
            .take(count)
            .take_while(fits)
            .cloned()
            .collect()
    }

    /// Removes a window, and returns whether it was still there.
    pub(super) fn remove(&mut self, window: &Arc<Window>) -> bool {
        let Some(at) = self.windows.iter().position(|w| Arc::ptr_eq(w, window)) else {
            return false;
        };
        self.windows.remove(at);
        window.delete();
        self.bytes -= window.bytes;
        true
    }

    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of windows that are in memory, whether or not they are on disk, too.
    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        let bodies = self.windows.iter().filter_map(|w| w.body.as_ref());
        bodies.map(Vec::len).sum()
    }

    /// The number of windows that were dropped.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(size: usize) -> Window {
        Window::new(vec![0; size], Timestamp::EPOCH)
    }

    #[test]
    fn oldest_window_is_dropped_and_counted_past_the_bound() {
        let mut queue = Queue::new(100);
        queue.add(window(40));
        let oldest = queue.first(1, 100).pop().expect("a window is queued");
        queue.add(window(41));
        queue.add(window(42));
        assert_eq!((queue.len(), queue.bytes(), queue.overflowed()), (2, 83, 1));
        assert!(
            !queue.remove(&oldest),
            "the window was dropped while it was being sent"
        );
        queue.add(window(101));
        assert_eq!((queue.len(), queue.bytes(), queue.overflowed()), (0, 0, 4));
    }

    #[test]
    fn batch_is_bounded_by_count_and_bytes_and_never_empty() {
        let mut queue = Queue::new(1_000);
        for size in [60, 30, 20] {
            queue.add(window(size));
        }
        let check = |count, bytes, expected| {
            assert_eq!(
                queue.first(count, bytes).len(),
                expected,
                "{count} of {bytes} bytes"
            );
        };
        check(9, 1_000, 3);
        check(2, 1_000, 2);
        check(9, 90, 2);
        check(9, 89, 1);
        check(9, 10, 1);
        assert!(Queue::new(1).first(9, 9).is_empty());
    }

    #[test]
    fn file_is_deleted_when_its_window_is_acknowledged_or_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let spooled = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, [7; 60]).expect("written");
            let mut window = window(60);
            window.spooled(path.clone(), false);
            (window, path)
        };
        let mut queue = Queue::new(100);
        let ((first, first_path), (second, second_path)) = (spooled("a"), spooled("b"));
        queue.add(first);
        queue.add(second);
        assert_eq!((first_path.exists(), second_path.exists()), (false, true));
        let second = queue.first(1, 100).pop().expect("a window is queued");
        assert_eq!(second.body().expect("readable").as_ref(), [7; 60]);
        queue.remove(&second);
        assert!(!second_path.exists());
    }

    #[test]
    fn acknowledged_window_is_removed() {
        let mut queue = Queue::new(100);
        queue.add(window(1));
        queue.add(window(2));
        let first = queue.first(1, 100).pop().expect("a window is queued");
        assert!(queue.remove(&first));
        assert_eq!((queue.len(), queue.bytes()), (1, 2));
    }
}
