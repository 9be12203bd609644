//! Reads the lines of a log, compressed or not, in bounded memory.

use crate::line::LENGTH;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

/// Size of the buffers, in bytes.
const BUFFER: usize = 256 << 10;

/// The lines of a log.
pub(super) struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    line: Vec<u8>,
    /// Number of bytes in the buffer that the last line took.
    used: usize,
    /// Number of lines that were left out because they are longer than [`LENGTH`].
    pub(super) too_long: u64,
    /// Whether the compressed data ended early.
    pub(super) is_truncated: bool,
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
        let is_gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn Read + Send> = if is_gzip {
            Box::new(MultiGzDecoder::new(file))
        } else {
            Box::new(file)
        };
        Ok(Self {
            reader: BufReader::with_capacity(BUFFER, reader),
            line: Vec::new(),
            used: 0,
            too_long: 0,
            is_truncated: false,
        })
    }

    /// The next line, without the line feed.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.reader.consume(std::mem::take(&mut self.used));
        // Nearly every line is in the buffer as a whole.
        if let Some(end) = memchr::memchr(b'\n', self.reader.buffer()) {
            // The buffer is smaller than the longest line.
            self.used = end + 1;
            return Ok(Some(&self.reader.buffer()[..end]));
        }
        loop {
            self.line.clear();
            let mut is_too_long = false;
            let is_end = loop {
                let buffer = match self.reader.fill_buf() {
                    Ok(buffer) => buffer,
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        self.is_truncated = true;
                        break true;
                    }
                    Err(error) => return Err(error),
                };
                if buffer.is_empty() {
                    break true;
                }
                let end = memchr::memchr(b'\n', buffer);
                let taken = end.unwrap_or(buffer.len());
                if self.line.len() + taken > LENGTH {
                    is_too_long = true;
                    self.line.clear();
                } else if !is_too_long {
                    self.line.extend_from_slice(&buffer[..taken]);
                }
                let consumed = taken + usize::from(end.is_some());
                self.reader.consume(consumed);
                if end.is_some() {
                    break false;
                }
            };
            if is_too_long {
                self.too_long += 1;
            } else if !is_end || !self.line.is_empty() {
                return Ok(Some(&self.line));
            }
            if is_end {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use davy_profile::gzip;

    fn read(bytes: &[u8]) -> (Vec<Vec<u8>>, u64, bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::fs::write(&path, bytes).expect("written");
        let mut lines = Lines::open(&path).expect("open");
        let mut all = Vec::new();
        while let Some(line) = lines.next().expect("readable") {
            all.push(line.to_vec());
        }
        (all, lines.too_long, lines.is_truncated)
    }

    #[test]
    fn lines_of_plain_and_compressed_logs_are_read() {
        let expected = vec![b"a;b 1".to_vec(), Vec::new(), b"c 2".to_vec()];
        let text = b"a;b 1\n\nc 2";
        assert_eq!(read(text), (expected.clone(), 0, false));
        assert_eq!(read(&gzip::compress(text)), (expected.clone(), 0, false));
        let two = [gzip::compress(b"a;b 1\n\n"), gzip::compress(b"c 2\n")].concat();
        assert_eq!(read(&two), (expected, 0, false));
        assert_eq!(read(b""), (Vec::new(), 0, false));
    }

    #[test]
    fn lines_before_the_end_of_a_truncated_log_are_read() {
        let text: Vec<u8> = (0..100_000)
            .flat_map(|at| format!("f{at} 1\n").into_bytes())
            .collect();
        let packed = gzip::compress(&text);
        let (lines, _, is_truncated) = read(&packed[..packed.len() / 2]);
        assert!(is_truncated && lines.len() > 10_000, "{}", lines.len());
    }

    #[test]
    fn too_long_line_is_left_out_and_counted() {
        let long = vec![b'x'; LENGTH * 3];
        let text = [&b"a 1\n"[..], &long, b"\nb 2\n", &long].concat();
        assert_eq!(
            read(&text),
            (vec![b"a 1".to_vec(), b"b 2".to_vec()], 2, false)
        );
    }
}
