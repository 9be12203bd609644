use super::layout::{
    BLOCK_RANGES, BUILD_ID, FILE_NAME, FRAMES_MAX, HEADER_BYTES, MAGIC, SymbolFrame, VERSION,
};
use crate::StringId;
use crate::wire::Reader;
use std::fmt;
use std::ops::Range;

/// Why bytes are not a symbol index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The magic bytes are missing.
    Magic,
    /// A newer version of the format.
    Version(u32),
    /// The size of the file is not what the header says.
    Truncated {
        /// The size of the file.
        got: usize,
        /// The size according to the header.
        expected: u64,
    },
    /// The content contradicts itself.
    Invalid {
        /// What is wrong.
        problem: &'static str,
        /// Where, in bytes from the start.
        offset: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str(
                "not a symbol index: expected it to begin with DAVYSYMS; `davy symbols index FILE` makes one from an \
                 executable",
            ),
            Self::Version(version) => write!(
                f,
                "symbol index has version {version}; this program reads version {VERSION}; make it again"
            ),
            Self::Truncated { got, expected } => write!(
                f,
                "truncated symbol index: it has {got} bytes, and its header says {expected}"
            ),
            Self::Invalid { problem, offset } => {
                write!(f, "invalid symbol index: {problem} at byte {offset}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// A range of code that has the same frames.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The addresses.
    pub range: Range<u64>,
    /// The frames, the outermost first.
    pub frames: Vec<SymbolFrame>,
}

/// An index that is read in place.
#[derive(Clone, Debug)]
pub struct SymbolIndex<B> {
    bytes: B,
    blocks: usize,
    strings: usize,
    named: u32,
    /// Where each part begins.
    block_offsets: usize,
    string_ends: usize,
    block_bytes: usize,
    text: usize,
}

impl<B: AsRef<[u8]>> SymbolIndex<B> {
    /// Opens an index. Reads the header only: lookups check what they read, and find nothing where it is invalid.
    /// [`SymbolIndex::validate`] checks everything.
    ///
    /// # Errors
    ///
    /// If the header is not that of an index of this size and version.
    pub fn open(bytes: B) -> Result<Self, Error> {
        let all = bytes.as_ref();
        if !all.starts_with(MAGIC) {
            return Err(Error::Magic);
        }
        let got = all.len();
        let expected = HEADER_BYTES as u64;
        let number = |index: usize| read_u32(all, 8 + 4 * index);
        let numbers: [Option<u32>; 6] = std::array::from_fn(number);
        let [
            Some(version),
            Some(blocks),
            Some(strings),
            Some(block_bytes),
            Some(text_bytes),
            Some(named),
        ] = numbers
        else {
            return Err(Error::Truncated { got, expected });
        };
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let block_offsets = expected + 8 * u64::from(blocks);
        let string_ends = block_offsets + 4 * u64::from(blocks);
        let block_start = string_ends + 4 * u64::from(strings);
        let text = block_start + u64::from(block_bytes);
        let expected = text + u64::from(text_bytes);
        if got as u64 != expected {
            return Err(Error::Truncated { got, expected });
        }
        // All of these are at most `got`.
        Ok(Self {
            blocks: blocks as usize,
            strings: strings as usize,
            named,
            block_offsets: block_offsets as usize,
            string_ends: string_ends as usize,
            block_bytes: block_start as usize,
            text: text as usize,
            bytes,
        })
    }

    /// The build id of the file, in hexadecimal; empty if it has none.
    pub fn build_id(&self) -> &str {
        self.text(BUILD_ID)
    }

    /// The name of the file.
    pub fn file_name(&self) -> &str {
        self.text(FILE_NAME)
    }

    /// The bytes of the index.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// What the bytes are read from.
    pub fn source(&self) -> &B {
        &self.bytes
    }

    /// Number of functions that have a name of debug information or of a symbol table.
    pub fn named(&self) -> u32 {
        self.named
    }

    /// Whether the name of a function is a placeholder: the name of the file and an address.
    pub fn is_placeholder(&self, function: &str) -> bool {
        let address = function.strip_prefix(self.file_name());
        address.is_some_and(|address| address.starts_with("+0x"))
    }

    /// Number of strings.
    pub fn strings(&self) -> usize {
        self.strings
    }

    /// Number of blocks of ranges.
    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// The text of a string; empty if there is none.
    pub fn text(&self, id: StringId) -> &str {
        self.text_checked(id.0 as usize).unwrap_or_default()
    }

    /// The frames of the code at an offset in the file.
    pub fn find(&self, address: u64) -> Option<Found> {
        let block = self.block_of(address)?;
        let mut found = Found::default();
        let mut is_found = false;
        self.each_range(block, &mut found, |found| {
            is_found = found.range.contains(&address);
            !is_found
        })
        .ok()?;
        is_found.then_some(found)
    }

    /// Passes each range of a block to `each`, in ascending order, until it returns `false`.
    ///
    /// # Errors
    ///
    /// If the block is invalid, or if there is none of this number.
    pub fn block(&self, block: usize, each: impl FnMut(&Found) -> bool) -> Result<(), Error> {
        self.each_range(block, &mut Found::default(), each)
    }

    /// Checks every block and string.
    ///
    /// # Errors
    ///
    /// If the index contradicts itself.
    pub fn validate(&self) -> Result<(), Error> {
        let invalid = |problem, offset| Err(Error::Invalid { problem, offset });
        let mut end = 0;
        for string in 0..self.strings {
            let next = read_u32(self.as_bytes(), self.string_ends + 4 * string).unwrap_or(0);
            if next < end || self.text_checked(string).is_none() {
                return invalid("string is not UTF-8", self.string_ends + 4 * string);
            }
            end = next;
        }
        if self.text + end as usize != self.as_bytes().len() || self.strings < 3 {
            return invalid("the strings do not match the text", self.string_ends);
        }
        let mut covered = 0;
        for block in 0..self.blocks {
            let offset = HEADER_BYTES + 8 * block;
            let start = self.start(block).unwrap_or(0);
            if start < covered {
                return invalid("block overlaps the one before", offset);
            }
            let (mut end, mut is_valid) = (start, true);
            self.each_range(block, &mut Found::default(), |found| {
                end = found.range.end;
                is_valid = found.frames.iter().all(|frame| {
                    (frame.function.0 as usize) < self.strings
                        && (frame.file.0 as usize) < self.strings
                });
                is_valid
            })?;
            if !is_valid {
                return invalid("frame refers to a string that does not exist", offset);
            }
            covered = end;
        }
        Ok(())
    }

    fn start(&self, block: usize) -> Option<u64> {
        let at = HEADER_BYTES + 8 * block;
        let bytes = self.as_bytes().get(at..at + 8)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The last block that starts at or before an address.
    fn block_of(&self, address: u64) -> Option<usize> {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low.midpoint(high);
            if self.start(middle)? <= address {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    fn each_range(
        &self,
        block: usize,
        found: &mut Found,
        mut each: impl FnMut(&Found) -> bool,
    ) -> Result<(), Error> {
        let all = self.as_bytes();
        let invalid = |problem, offset| Error::Invalid { problem, offset };
        let header = HEADER_BYTES + 8 * block;
        if block >= self.blocks {
            return Err(invalid("block number out of range", header));
        }
        let start = self.start(block).unwrap_or(0);
        let offset = read_u32(all, self.block_offsets + 4 * block).unwrap_or(0) as usize;
        let at = self.block_bytes + offset;
        let mut numbers = Reader::nested(all.get(at..self.text).unwrap_or_default(), at);
        let truncated = |numbers: &Reader<'_>| invalid("truncated block", numbers.position());
        let ranges = numbers.varint().map_err(|_| truncated(&numbers))?;
        if ranges > u64::from(BLOCK_RANGES) {
            return Err(invalid("block has too many ranges", numbers.position()));
        }
        found.frames.clear();
        found.range = start..start;
        for _ in 0..ranges {
            let mut take = || numbers.varint().ok();
            let (Some(length), Some(shared), Some(further)) = (take(), take(), take()) else {
                return Err(truncated(&numbers));
            };
            let shared = usize::try_from(shared).unwrap_or(usize::MAX);
            let end = found.range.end.checked_add(length);
            let (Some(end), true) = (end, shared <= found.frames.len()) else {
                return Err(invalid("invalid range", numbers.position()));
            };
            found.range = found.range.end..end;
            found.frames.truncate(shared);
            if further > (FRAMES_MAX - shared) as u64 {
                return Err(invalid("range has too many frames", numbers.position()));
            }
            for _ in 0..further {
                let mut take = || numbers.varint().ok().and_then(|n| u32::try_from(n).ok());
                let (Some(function), Some(file), Some(line)) = (take(), take(), take()) else {
                    return Err(truncated(&numbers));
                };
                found.frames.push(SymbolFrame {
                    function: StringId(function),
                    file: StringId(file),
                    line,
                });
            }
            if !each(found) {
                break;
            }
        }
        Ok(())
    }

    fn text_checked(&self, string: usize) -> Option<&str> {
        if string >= self.strings {
            return None;
        }
        let end = |string: usize| read_u32(self.as_bytes(), self.string_ends + 4 * string);
        let start = match string.checked_sub(1) {
            Some(before) => end(before)?,
            None => 0,
        };
        let range = self.text + start as usize..self.text + end(string)? as usize;
        std::str::from_utf8(self.as_bytes().get(range)?).ok()
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
