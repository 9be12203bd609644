//! The output of a process as text.

use std::io::{self, PipeReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Chunks that wait to be sent, at most. A task that prints faster than the server stores waits.
const CHUNKS_MAX: usize = 16;
/// The size of a chunk, at most.
const CHUNK_BYTES: usize = 16 << 10;
/// The size of collected text, about.
const TEXT_BYTES: usize = 128 << 10;

/// The standard output and the standard error of a process, in the order in which they arrive.
pub(super) struct Output {
    chunks: Receiver<(usize, Vec<u8>)>,
    /// The start of a character whose rest has not arrived, by stream.
    rests: [Vec<u8>; 2],
    is_over: bool,
}

impl Output {
    /// Reads what a process prints to its two streams.
    pub(super) fn of(streams: [PipeReader; 2]) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(CHUNKS_MAX);
        for (index, stream) in streams.into_iter().enumerate() {
            read(index, stream, sender.clone())?;
        }
        Ok(Self {
            chunks,
            rests: [Vec::new(), Vec::new()],
            is_over: false,
        })
    }

    /// Waits for output for some time; returns what has arrived.
    pub(super) fn collect(&mut self, span: Duration) -> String {
        let mut text = String::new();
        let mut next = self.chunks.recv_timeout(span);
        loop {
            match next {
                Ok((stream, bytes)) => self.add(&mut text, stream, &bytes),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    for rest in &mut self.rests {
                        text += &String::from_utf8_lossy(&std::mem::take(rest));
                    }
                    self.is_over = true;
                    break;
                }
            }
            if text.len() >= TEXT_BYTES {
                break;
            }
            next = self.chunks.try_recv().map_err(|error| match error {
                std::sync::mpsc::TryRecvError::Empty => RecvTimeoutError::Timeout,
                std::sync::mpsc::TryRecvError::Disconnected => RecvTimeoutError::Disconnected,
            });
        }
        text
    }

    /// Whether both streams have ended.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Adds whole characters. Bytes that are not text, and zero bytes, which databases do not store, become the
    /// replacement character.
    fn add(&mut self, text: &mut String, stream: usize, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.rests[stream]);
        all.extend_from_slice(bytes);
        let whole = all.len() - unfinished(&all);
        self.rests[stream] = all.split_off(whole);
        let decoded = String::from_utf8_lossy(&all);
        text.extend(
            decoded
                .chars()
                .map(|c| if c == '\0' { '\u{fffd}' } else { c }),
        );
    }
}

/// The number of bytes at the end that begin a character and do not finish it.
fn unfinished(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(3);
    let start = last.enumerate().find(|(_, byte)| **byte & 0xc0 != 0x80);
    match start {
        Some((after, byte)) => {
            let length = match byte {
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => 1,
            };
            if after + 1 < length { after + 1 } else { 0 }
        }
        None => 0,
    }
}

fn read(
    stream: usize,
    mut from: impl Read + Send + 'static,
    to: SyncSender<(usize, Vec<u8>)>,
) -> io::Result<()> {
    let reading = move || {
        let mut buffer = vec![0; CHUNK_BYTES];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    // Nobody follows the task any more.
                    if to.send((stream, buffer[..count].to_vec())).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    };
    let thread = std::thread::Builder::new().name("output".to_owned());
    thread.spawn(reading).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_never_split_between_chunks() {
        let text = "aäé€😀\n".repeat(3);
        for size in 1..9 {
            let (_sender, chunks) = sync_channel(1);
            let mut output = Output {
                chunks,
                rests: [Vec::new(), Vec::new()],
                is_over: false,
            };
            let mut decoded = String::new();
            for bytes in text.as_bytes().chunks(size) {
                output.add(&mut decoded, 0, bytes);
                // The other stream does not mix with this one.
                output.add(&mut decoded, 1, b"");
            }
            assert_eq!(decoded, text, "chunks of {size} bytes");
        }
    }

    #[test]
    fn bytes_that_are_not_text_are_replaced() {
        let (_sender, chunks) = sync_channel(1);
        let mut output = Output {
            chunks,
            rests: [Vec::new(), Vec::new()],
            is_over: false,
        };
        let mut decoded = String::new();
        output.add(&mut decoded, 0, b"a\0\xffb");
        assert_eq!(decoded, "a\u{fffd}\u{fffd}b");
    }
}
