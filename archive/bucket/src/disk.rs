//! Pieces of immutable objects in a folder: a cache that survives restarts and that several processes can share.
//!
//! A piece is a file, named by the hash of the object's key and the range:
//!
//! ```text
//! "davy-piece-1\n"   13 bytes
//! length of the name  4 bytes, little endian
//! name                KEY@START..END
//! CRC-32 of the rest  4 bytes, little endian
//! bytes               to the end of the file
//! ```
//!
//! A file appears by a rename, so that none is seen half written. A piece that fails verification is deleted and
//! counts as missing. Nothing is lost with a piece, so there are no locks: two processes that write the same piece
//! write the same bytes, and a piece that one of them deletes is read from the bucket again.

use bytes::Bytes;
use davy_base::Clock;
use object_store::path::Path as Key;
use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use xxhash_rust::xxh3::xxh3_128;

const MAGIC: &[u8] = b"davy-piece-1\n";
/// After an eviction, this share of the limit is in use.
const KEPT: f64 = 0.9;
/// A temporary file of this age was left behind by a process that was killed.
const ABANDONED: Duration = Duration::from_hours(1);

/// A cache in a folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DiskCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    limit: u64,
    clock: Clock,
    /// Bytes in the folder at its last scan, plus those that this process has written since.
    bytes: AtomicU64,
    /// Names of temporary files.
    count: AtomicU64,
    damaged: AtomicU64,
    failures: AtomicU64,
}

/// A file in the folder.
struct Entry {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

impl DiskCache {
    /// A cache of at most about `limit` bytes. Creates the folder, and counts what is in it.
    pub fn open(folder: &Path, limit: u64, clock: Clock) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let cache = Self(Arc::new(Inner {
            folder: folder.to_owned(),
            limit,
            clock,
            bytes: AtomicU64::new(0),
            count: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }));
        cache.0.evict()?;
        Ok(cache)
    }

    /// The piece, if it is cached and undamaged.
    pub async fn get(&self, key: &Key, range: Range<u64>) -> Option<Bytes> {
        let (inner, name) = (Arc::clone(&self.0), name(key, &range));
        let expected = range.end - range.start;
        let read = move || inner.read(&name, (range.end < u64::MAX).then_some(expected));
        tokio::task::spawn_blocking(read).await.ok()?
    }

    /// Caches a piece, unless it is larger than a tenth of the cache. The range of a whole object is `0..u64::MAX`. A
    /// failure is counted, and otherwise ignored.
    pub async fn put(&self, key: &Key, range: Range<u64>, bytes: Bytes) {
        if bytes.len() as u64 > self.0.limit / 10 {
            return;
        }
        let (inner, name) = (Arc::clone(&self.0), name(key, &range));
        let write = move || {
            if inner.write(&name, &bytes).is_err() {
                inner.failures.fetch_add(1, Ordering::Relaxed);
            }
        };
        let _ = tokio::task::spawn_blocking(write).await;
    }

    /// Deletes a piece that turned out to be damaged before it was cached.
    pub async fn remove(&self, key: &Key, range: Range<u64>) {
        let (inner, name) = (Arc::clone(&self.0), name(key, &range));
        let remove = move || fs::remove_file(inner.path(&name));
        let _ = tokio::task::spawn_blocking(remove).await;
    }

    /// Bytes in the folder, as far as this process knows.
    pub fn bytes(&self) -> u64 {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// Pieces that were deleted because they were damaged, since the last call.
    pub fn take_damaged(&self) -> u64 {
        self.0.damaged.swap(0, Ordering::Relaxed)
    }

    /// Pieces that could not be written, since the last call.
    pub fn take_failures(&self) -> u64 {
        self.0.failures.swap(0, Ordering::Relaxed)
    }
}

fn name(key: &Key, range: &Range<u64>) -> String {
    format!("{key}@{}..{}", range.start, range.end)
}

/// The bytes of a piece, if the file is that piece and undamaged.
fn decode(file: &Bytes, name: &str, expected: Option<u64>) -> Option<Bytes> {
    let rest = file.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (found, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let (sum, bytes) = rest.split_first_chunk::<4>()?;
    let is_whole = found == name.as_bytes()
        && expected.is_none_or(|expected| expected == bytes.len() as u64)
        && u32::from_le_bytes(*sum) == crc32fast::hash(bytes);
    is_whole.then(|| file.slice(file.len() - bytes.len()..))
}

fn encode(file: &mut File, name: &str, bytes: &Bytes) -> io::Result<()> {
    let mut head = MAGIC.to_vec();
    head.extend_from_slice(&(name.len() as u32).to_le_bytes());
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(&crc32fast::hash(bytes).to_le_bytes());
    file.write_all(&head)?;
    file.write_all(bytes)
}

impl Inner {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.clock.now().millis().max(0) as u64)
    }

    /// Two levels, because a folder of a million files is slow on some file systems.
    fn path(&self, name: &str) -> PathBuf {
        let hash = format!("{:032x}", xxh3_128(name.as_bytes()));
        self.folder.join(&hash[..2]).join(&hash[2..])
    }

    fn read(&self, name: &str, expected: Option<u64>) -> Option<Bytes> {
        let path = self.path(name);
        let file = Bytes::from(fs::read(&path).ok()?);
        let piece = decode(&file, name, expected);
        if piece.is_some() {
            // The time of the last use decides what is evicted.
            if let Ok(file) = File::options().append(true).open(&path) {
                let _ = file.set_modified(self.now());
            }
        } else if fs::remove_file(&path).is_ok() {
            self.damaged.fetch_add(1, Ordering::Relaxed);
        }
        piece
    }

    fn write(&self, name: &str, bytes: &Bytes) -> io::Result<()> {
        let path = self.path(name);
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let temporary = self
            .folder
            .join(format!("new-{}-{count}", std::process::id()));
        let written = (|| {
            fs::create_dir_all(path.parent().unwrap_or(&self.folder))?;
            let mut file = File::create(&temporary)?;
            encode(&mut file, name, bytes)?;
            file.set_modified(self.now())?;
            fs::rename(&temporary, &path)
        })();
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        let size = bytes.len() as u64 + name.len() as u64 + 21;
        if self.bytes.fetch_add(size, Ordering::Relaxed) + size > self.limit {
            self.evict()?;
        }
        Ok(())
    }

    /// Deletes what has not been used for longest, if the folder exceeds the limit.
    fn evict(&self) -> io::Result<()> {
        let mut entries = Vec::new();
        let abandoned = self.now().checked_sub(ABANDONED);
        for item in fs::read_dir(&self.folder)? {
            let item = item?;
            if item.file_type()?.is_dir() {
                for piece in fs::read_dir(item.path()).into_iter().flatten().flatten() {
                    entries.extend(entry(&piece));
                }
            } else if let Some(left) = entry(&item)
                && item.file_name().to_string_lossy().starts_with("new-")
                && abandoned.is_some_and(|abandoned| left.used < abandoned)
            {
                let _ = fs::remove_file(left.path);
            }
        }
        let mut bytes: u64 = entries.iter().map(|entry| entry.bytes).sum();
        if bytes > self.limit {
            entries.sort_by_key(|entry| entry.used);
            let kept = (self.limit as f64 * KEPT) as u64;
            for entry in entries {
                if bytes <= kept {
                    break;
                }
                // Another process may have deleted it.
                let _ = fs::remove_file(&entry.path);
                bytes -= entry.bytes;
            }
        }
        self.bytes.store(bytes, Ordering::Relaxed);
        Ok(())
    }
}

fn entry(item: &fs::DirEntry) -> Option<Entry> {
    let metadata = item.metadata().ok().filter(fs::Metadata::is_file)?;
    Some(Entry {
        path: item.path(),
        bytes: metadata.len(),
        used: metadata.modified().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_base::Timestamp;

    fn open(folder: &Path, limit: u64) -> (DiskCache, Clock) {
        let clock = Clock::manual(Timestamp::from_seconds(1_800_000_000));
        let cache = DiskCache::open(folder, limit, clock.clone()).expect("a folder");
        (cache, clock)
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for item in fs::read_dir(folder).expect("a folder").flatten() {
            if item.path().is_dir() {
                found.extend(files(&item.path()));
            } else {
                found.push(item.path());
            }
        }
        found
    }

    fn key(name: &str) -> Key {
        Key::from(name)
    }

    #[tokio::test]
    async fn piece_survives_a_restart_and_is_shared() {
        let folder = tempfile::tempdir().expect("a folder");
        let (first, _) = open(folder.path(), 1 << 20);
        let (second, _) = open(folder.path(), 1 << 20);
        first
            .put(&key("a"), 2..6, Bytes::from_static(b"2345"))
            .await;
        assert_eq!(
            second.get(&key("a"), 2..6).await.as_deref(),
            Some(&b"2345"[..])
        );
        drop((first, second));
        let (again, _) = open(folder.path(), 1 << 20);
        assert_eq!(
            again.get(&key("a"), 2..6).await.as_deref(),
            Some(&b"2345"[..])
        );
        assert_eq!(again.get(&key("a"), 2..5).await, None);
        assert_eq!(again.get(&key("b"), 2..6).await, None);
        assert!(again.bytes() > 4);
    }

    #[tokio::test]
    async fn damaged_piece_is_deleted_and_counts_as_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, _) = open(folder.path(), 1 << 20);
        for damage in 0..3_u8 {
            cache
                .put(&key("a"), 0..u64::MAX, Bytes::from_static(b"whole"))
                .await;
            assert_eq!(
                cache.get(&key("a"), 0..u64::MAX).await.as_deref(),
                Some(&b"whole"[..])
            );
            let [file] = files(folder.path()).try_into().expect("one file");
            let mut bytes = fs::read(&file).expect("readable");
            match damage {
                0 => *bytes.last_mut().expect("not empty") ^= 1,
                1 => bytes.truncate(bytes.len() - 1),
                _ => bytes.clear(),
            }
            fs::write(&file, bytes).expect("writable");
            assert_eq!(cache.get(&key("a"), 0..u64::MAX).await, None);
            assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
            assert_eq!(cache.take_damaged(), 1);
        }
    }

    #[tokio::test]
    async fn least_recently_used_pieces_leave_when_the_limit_is_reached() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cache, clock) = open(folder.path(), 10_000);
        for at in 0..9 {
            clock.advance(Duration::from_secs(1));
            cache
                .put(&key(&format!("{at}")), 0..900, Bytes::from(vec![at; 900]))
                .await;
        }
        clock.advance(Duration::from_secs(1));
        assert!(cache.get(&key("0"), 0..900).await.is_some());
        clock.advance(Duration::from_secs(1));
        for at in 10..12 {
            cache
                .put(&key(&format!("{at}")), 0..900, Bytes::from(vec![at; 900]))
                .await;
        }
        assert!(cache.bytes() <= 10_000, "{}", cache.bytes());
        let sizes = files(folder.path())
            .into_iter()
            .map(|file| fs::metadata(file).expect("a file").len());
        assert!(sizes.sum::<u64>() <= 10_000);
        assert!(cache.get(&key("0"), 0..900).await.is_some(), "used last");
        assert!(
            cache.get(&key("1"), 0..900).await.is_none(),
            "unused for longest"
        );
        assert!(cache.get(&key("11"), 0..900).await.is_some());
        // Larger than a tenth of the cache.
        cache
            .put(&key("large"), 0..2_000, Bytes::from(vec![0; 2_000]))
            .await;
        assert!(cache.get(&key("large"), 0..2_000).await.is_none());
    }

    #[tokio::test]
    async fn full_disk_is_counted_and_reads_still_succeed() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("cache");
        let (cache, _) = open(&inside, 1 << 20);
        fs::remove_dir_all(&inside).expect("removable");
        fs::write(&inside, "in the way").expect("writable");
        cache.put(&key("a"), 0..1, Bytes::from_static(b"x")).await;
        assert_eq!(
            (cache.take_failures(), cache.get(&key("a"), 0..1).await),
            (1, None)
        );
    }
}
