//! Files in ELF, as far as symbols need them.

use crate::mapped::Mapped;
use davy_profile::gzip;
use object::read::elf::ElfFile64;
use object::{CompressionFormat, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::fs::File;
use std::io;
use std::path::Path;

/// Reads a section of debug information.
pub(super) type Reader<'a> = gimli::EndianSlice<'a, gimli::LittleEndian>;

pub(super) type Elf<'a> = ElfFile64<'a, object::Endianness>;

/// Maps a file into memory.
pub(super) fn map(path: &Path) -> io::Result<Mapped> {
    let file = File::open(path)?;
    // SAFETY: the map is read through bounds checks only. Executables in use cannot be written, and packagers replace
    // files by renaming; a file that shrinks nevertheless ends the child that reads it, or the command.
    unsafe { Mapped::new(&file) }
}

pub(super) fn parse(bytes: &[u8]) -> io::Result<Elf<'_>> {
    Elf::parse(bytes).map_err(|error| {
        let problem = format!("not a 64-bit ELF file: {error}");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// The content of a section.
pub(super) enum Section<'a> {
    Mapped(&'a [u8]),
    Decompressed(Vec<u8>),
}

impl std::ops::Deref for Section<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(bytes) => bytes,
            Self::Decompressed(bytes) => bytes,
        }
    }
}

/// The content of a section; empty if there is none, or if it cannot be decompressed.
pub(super) fn section<'a>(elf: &Elf<'a>, name: &str) -> Section<'a> {
    let none = Section::Mapped(&[]);
    let Some(section) = elf.section_by_name(name) else {
        return none;
    };
    let Ok(data) = section.compressed_data() else {
        return none;
    };
    let size = usize::try_from(data.uncompressed_size).ok();
    let decompressed = match data.format {
        CompressionFormat::None => return Section::Mapped(data.data),
        CompressionFormat::Zlib => size.and_then(|size| gzip::unpack_zlib(data.data, size)),
        #[cfg(feature = "zstd")]
        CompressionFormat::Zstandard => {
            size.and_then(|size| zstd::bulk::decompress(data.data, size).ok())
        }
        _ => None,
    };
    decompressed.map_or(none, Section::Decompressed)
}

/// A function of a symbol table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Symbol<'a> {
    pub(super) start: u64,
    /// 0 if the table does not state it.
    pub(super) size: u64,
    pub(super) name: &'a str,
}

/// The functions of symbol tables, sorted by address.
#[derive(Default)]
pub(super) struct Symbols<'a>(Vec<Symbol<'a>>);

impl<'a> Symbols<'a> {
    /// The functions of several files. Of functions at one address, the first with a size is kept.
    pub(super) fn new<'e>(files: impl IntoIterator<Item = &'e Elf<'a>>) -> Self
    where
        'a: 'e,
    {
        let mut symbols = Vec::new();
        for elf in files {
            let all = elf.symbols().chain(elf.dynamic_symbols());
            let functions = all.filter(|s| s.kind() == SymbolKind::Text && s.is_definition());
            symbols.extend(functions.filter_map(|symbol| {
                let name = symbol.name().ok().filter(|name| !name.is_empty())?;
                let (start, size) = (symbol.address(), symbol.size());
                Some(Symbol { start, size, name })
            }));
        }
        symbols.sort_by_key(|symbol| (symbol.start, symbol.size == 0));
        symbols.dedup_by_key(|symbol| symbol.start);
        Self(symbols)
    }

    /// The function that starts at an address.
    pub(super) fn at(&self, start: u64) -> Option<&'a str> {
        let found = self.0.binary_search_by_key(&start, |symbol| symbol.start);
        found.ok().map(|at| self.0[at].name)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Symbol<'a>> {
        self.0.iter()
    }
}
