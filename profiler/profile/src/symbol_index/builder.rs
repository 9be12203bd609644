use super::layout::{
    BLOCK_RANGES, BUILD_ID, FILE_NAME, FRAMES_MAX, MAGIC, SymbolFrame, VERSION, placeholder,
};
use crate::wire::put_varint;
use crate::{StringId, StringTable};
use std::io::{self, Write};

/// Builds an index. Memory is about that of the index.
#[derive(Debug)]
pub struct Builder {
    strings: StringTable,
    /// Start, length and offset of each block.
    starts: Vec<(u64, u64, u32)>,
    blocks: Vec<u8>,
    open: Option<OpenBlock>,
    /// The frames of the last range of the open block.
    before: Vec<SymbolFrame>,
    named: u32,
}

#[derive(Debug)]
struct OpenBlock {
    start: u64,
    end: u64,
    offset: usize,
    ranges: u8,
}

impl Builder {
    /// An index of the file with this build id (in hexadecimal) and name.
    pub fn new(build_id: &str, file_name: &str) -> Self {
        let mut strings = StringTable::new();
        // Pushed, not interned, because they have to have these ids even if they are equal or empty.
        let ids = [strings.push(build_id), strings.push(file_name)];
        debug_assert_eq!(ids, [BUILD_ID, FILE_NAME]);
        Self {
            strings,
            starts: Vec::new(),
            blocks: Vec::new(),
            open: None,
            before: Vec::new(),
            named: 0,
        }
    }

    /// The id of a name or a path.
    pub fn string(&mut self, text: &str) -> StringId {
        self.strings.intern(text)
    }

    /// The text of an id.
    pub fn text(&self, id: StringId) -> &str {
        self.strings.get(id)
    }

    /// Notes that the index has names of this many further functions.
    pub fn count_named(&mut self, functions: usize) {
        let functions = u32::try_from(functions).unwrap_or(u32::MAX);
        self.named = self.named.saturating_add(functions);
    }

    /// Adds a function that has no name, with a placeholder. `start` is the address that the file was linked for.
    pub fn add_unnamed(&mut self, start: u64, length: u64) {
        let placeholder = placeholder(self.text(FILE_NAME), start);
        let frame = SymbolFrame {
            function: self.string(&placeholder),
            ..SymbolFrame::default()
        };
        self.add(start, length, &[frame]);
    }

    /// Adds a range of code and its frames, the outermost first. Ranges come in any order, but those of a function
    /// one after the other, so that they share a block.
    pub fn add(&mut self, start: u64, length: u64, frames: &[SymbolFrame]) {
        let Some(end) = start.checked_add(length).filter(|end| *end > start) else {
            return;
        };
        let frames = &frames[..frames.len().min(FRAMES_MAX)];
        let is_next = self
            .open
            .as_ref()
            .is_some_and(|open| open.end == start && open.ranges < BLOCK_RANGES);
        if !is_next {
            self.close();
            self.open = Some(OpenBlock {
                start,
                end: start,
                offset: self.blocks.len(),
                ranges: 0,
            });
            // The number of ranges, written when the block is closed.
            self.blocks.push(0);
        }
        if let Some(open) = &mut self.open {
            open.end = end;
            open.ranges += 1;
        }
        let both = self.before.iter().zip(frames);
        let shared = both.take_while(|(a, b)| a == b).count();
        let further = &frames[shared..];
        for number in [length, shared as u64, further.len() as u64] {
            put_varint(&mut self.blocks, number);
        }
        for frame in further {
            for number in [frame.function.0, frame.file.0, frame.line] {
                put_varint(&mut self.blocks, number.into());
            }
        }
        self.before.truncate(shared);
        self.before.extend_from_slice(further);
    }

    /// Converts the start of every block, for example from an address to an offset in the file. Blocks for which there is
    /// none are left out.
    pub fn convert(&mut self, mut convert: impl FnMut(u64) -> Option<u64>) {
        self.close();
        self.starts.retain_mut(|(start, ..)| {
            let converted = convert(*start);
            *start = converted.unwrap_or(*start);
            converted.is_some()
        });
    }

    fn close(&mut self) {
        self.before.clear();
        if let Some(open) = self.open.take() {
            self.blocks[open.offset] = open.ranges;
            let offset = open.offset as u32;
            self.starts
                .push((open.start, open.end - open.start, offset));
        }
    }

    /// Writes the index. Of blocks that overlap, the one with the lower start is kept; of those, the one that was added
    /// first.
    ///
    /// # Errors
    ///
    /// If writing fails, or if the index exceeds 4 GiB.
    pub fn write(mut self, mut output: impl Write) -> io::Result<()> {
        self.close();
        // Stable, so that the first one comes first.
        self.starts.sort_by_key(|(start, ..)| *start);
        let mut covered = 0;
        self.starts.retain(|(start, length, _)| {
            let is_kept = *start >= covered;
            if is_kept {
                covered = start + length;
            }
            is_kept
        });
        let count = |length: usize| {
            u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))
        };
        let mut bytes = Vec::with_capacity(64 << 10);
        bytes.extend_from_slice(MAGIC);
        for number in [
            VERSION,
            count(self.starts.len())?,
            count(self.strings.len())?,
            count(self.blocks.len())?,
            count(self.strings.text_len())?,
            self.named,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (start, ..) in &self.starts {
            bytes.extend_from_slice(&start.to_le_bytes());
        }
        for (.., offset) in &self.starts {
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        let mut end = 0;
        for text in self.strings.iter() {
            end += text.len() as u32;
            bytes.extend_from_slice(&end.to_le_bytes());
        }
        output.write_all(&bytes)?;
        output.write_all(&self.blocks)?;
        for text in self.strings.iter() {
            output.write_all(text.as_bytes())?;
        }
        output.flush()
    }
}
