//! What a node of a tree represents.

use crate::{Mapping, StringId};

/// What a frame represents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum FrameKind {
    /// A function.
    #[default]
    Function = 0,
    /// A group of a query (`member=api`).
    Group = 1,
    /// The point at which a stack deeper than the limit was truncated.
    Cut = 2,
}

/// A frame. Samples whose frames are equal are merged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Name, "" if unsymbolized.
    pub name: StringId,
    /// Symbol name, "" if unknown.
    pub system_name: StringId,
    /// Source file, "" if unknown.
    pub file: StringId,
    /// First line of the function, 0 if unknown.
    pub start_line: u32,
    /// Line, 0 if unknown or if the tree merges the lines of a function.
    pub line: u32,
    /// Column, 0 if unknown.
    pub column: u32,
    /// Number of its mapping in the tree, counted from 1; 0 if unknown.
    pub mapping: u32,
    /// Offset of its code in the file of the mapping ([`Mapping::relative`]); without a mapping, its address.
    /// 0 if unknown, if the tree merges the addresses of a function, or if the function was inlined: then it is
    /// at the address of the frame that contains it.
    pub address: u64,
    /// What the frame represents.
    pub kind: FrameKind,
    /// Whether it was inlined into the frame that contains it: both are at one location.
    pub is_inlined: bool,
    /// Whether several functions share its code.
    pub is_folded: bool,
}

/// Where the code of a frame is, which decides the frames that are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CodePlace {
    /// Number of the mapping, counted from 1; 0 if unknown.
    pub mapping: u32,
    /// See [`Frame::address`].
    pub address: u64,
    /// Whether it was inlined into the frame that contains it.
    pub is_inlined: bool,
    /// Whether several functions share it.
    pub is_folded: bool,
}

impl CodePlace {
    /// The place of a frame whose function is known or not. The address of an inlined one is that of the frame
    /// that contains it, unless nothing else identifies it.
    #[inline]
    pub fn of_frame(self, is_named: bool) -> Self {
        if self.is_inlined && is_named {
            Self {
                address: 0,
                is_folded: false,
                ..self
            }
        } else {
            self
        }
    }

    /// The part by which frames are the same. The address of a function without a mapping is another one in
    /// every process, and often in every profile, so it does not count.
    #[inline]
    pub fn identity(self, is_named: bool) -> Self {
        if self.mapping != 0 || !is_named {
            self
        } else {
            Self { address: 0, ..self }
        }
    }

    /// The address of a frame from those of two frames with the same identity: the lower known one.
    #[inline]
    pub fn lower_address(known: u64, other: u64) -> u64 {
        match (known, other) {
            (0, address) | (address, 0) => address,
            (known, other) => known.min(other),
        }
    }
}

impl Frame {
    /// The line or column of a frame from that of a profile: negative numbers are unknown, and larger ones than
    /// 2^31 - 1 become that.
    pub fn line_number(number: i64) -> u32 {
        number.clamp(0, i32::MAX.into()) as u32
    }

    /// Whether its function is known, if only by its file.
    pub fn is_named(&self) -> bool {
        (self.name.0 | self.system_name.0 | self.file.0) != 0
    }

    fn place(&self) -> CodePlace {
        CodePlace {
            mapping: self.mapping,
            address: self.address,
            is_inlined: self.is_inlined,
            is_folded: self.is_folded,
        }
    }

    fn at(self, place: CodePlace) -> Self {
        let CodePlace {
            mapping,
            address,
            is_inlined,
            is_folded,
        } = place;
        Self {
            mapping,
            address,
            is_inlined,
            is_folded,
            ..self
        }
    }

    /// This frame as one that was inlined.
    pub fn inlined(self) -> Self {
        let place = CodePlace {
            is_inlined: true,
            ..self.place()
        };
        self.at(place.of_frame(self.is_named()))
    }

    /// The part by which frames are the same.
    pub fn identity(&self) -> Self {
        self.at(self.place().identity(self.is_named()))
    }

    /// Merges the address of a frame with the same identity.
    pub fn absorb(&mut self, address: u64) {
        self.address = CodePlace::lower_address(self.address, address);
    }
}

impl Mapping {
    /// The offset in the file of an address. The same in every process, wherever the file is loaded.
    pub fn relative(&self, address: u64) -> u64 {
        address
            .wrapping_sub(self.start)
            .wrapping_add(self.file_offset)
    }

    /// The address of an offset in the file.
    pub fn absolute(&self, relative: u64) -> u64 {
        relative
            .wrapping_sub(self.file_offset)
            .wrapping_add(self.start)
    }

    /// The part that two mappings of the same part of the same file share.
    pub(super) fn identity(&self) -> Self {
        Self {
            start: 0,
            limit: self.limit.wrapping_sub(self.start),
            file_offset: self.file_offset,
            file: self.file,
            build_id: self.build_id,
            ..Self::default()
        }
    }

    /// Merges a mapping with the same identity. The result does not depend on the order.
    pub(super) fn absorb(&mut self, other: &Self) {
        if other.start < self.start {
            (self.start, self.limit) = (other.start, other.limit);
        }
        // Tools symbolize what lacks names, so a flag holds only if it holds for all locations.
        self.has_functions &= other.has_functions;
        self.has_filenames &= other.has_filenames;
        self.has_line_numbers &= other.has_line_numbers;
        self.has_inline_frames &= other.has_inline_frames;
        self.is_main |= other.is_main;
    }
}

/// The name of a module: its file without the folder, and without the kernel's mark of deleted files.
pub(super) fn module_name(file: &str) -> &str {
    let file = file.strip_suffix(" (deleted)").unwrap_or(file);
    file.rsplit('/').next().unwrap_or(file)
}
