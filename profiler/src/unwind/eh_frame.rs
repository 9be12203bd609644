//! Reads the unwind rule of an address of x86_64 code from `.eh_frame_hdr` and `.eh_frame`.
//!
//! Formats: Linux Standard Base Core 5.0, sections 10.6.1 and 10.6.2. Instructions: DWARF 5, section
//! 6.4.2. Register numbers: System V ABI for AMD64. Only what compilers write for ordinary functions is
//! supported; everything else is [`Rule::COMPLEX`].

use super::reader::Reader;
use super::rule::{Base, Rule};
use std::ops::Range;

/// The unwind tables of one module.
pub(super) struct Table {
    pub(super) range: Range<u64>,
    /// Address and bytes of `.eh_frame_hdr`.
    pub(super) header: (u64, &'static [u8]),
    /// Address and bytes of `.eh_frame`.
    pub(super) frames: (u64, &'static [u8]),
}

/// Register numbers.
const RBP: u64 = 6;
const RSP: u64 = 7;
const RETURN: u64 = 16;

/// Pointer encodings.
const PC_RELATIVE_I32: u8 = 0x1b;
const COUNT_U32: u8 = 0x03;
const HEADER_RELATIVE_I32: u8 = 0x3b;

/// Depth of the stack of remembered states.
const REMEMBERED: usize = 8;

impl Table {
    /// The rule of an address.
    pub(super) fn rule(&self, address: u64) -> Rule {
        self.find(address)
            .and_then(|entry| entry.rule(address))
            .unwrap_or(Rule::COMPLEX)
    }

    /// The code of the function that contains the address.
    pub(super) fn function(&self, address: u64) -> Option<Range<u64>> {
        let range = self.find(address)?.range;
        range.contains(&address).then_some(range)
    }

    /// The entry (FDE) of the last function that starts at or before the address.
    fn find(&self, address: u64) -> Option<Entry<'_>> {
        let (start, header) = self.header;
        if header.get(..4)? != [1, PC_RELATIVE_I32, COUNT_U32, HEADER_RELATIVE_I32] {
            return None;
        }
        let count = Reader {
            bytes: header,
            at: 8,
        }
        .u32()? as usize;
        let rows = header.get(12..12 + count.checked_mul(8)?)?;
        let field = |row: usize, at: usize| -> Option<i64> {
            let mut reader = Reader {
                bytes: rows,
                at: row * 8 + at,
            };
            Some(i64::from(reader.u32()? as i32))
        };
        let wanted = address.wrapping_sub(start) as i64;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = low + (high - low) / 2;
            if field(middle, 0)? <= wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let entry = start.wrapping_add_signed(field(low.checked_sub(1)?, 4)?);
        self.entry(entry.wrapping_sub(self.frames.0) as usize)
    }

    fn entry(&self, at: usize) -> Option<Entry<'_>> {
        let bytes = self.frames.1;
        let (mut fields, id_at) = block(bytes, at)?;
        let back = fields.u32()? as usize;
        let common = self.common(id_at.checked_sub(back).filter(|_| back != 0)?)?;
        let base = self.frames.0 + fields.at as u64;
        let begin = base.wrapping_add_signed(i64::from(fields.u32()? as i32));
        let length = u64::from(fields.u32()?);
        if common.has_augmentation {
            let skipped = fields.uleb()? as usize;
            fields.take(skipped)?;
        }
        Some(Entry {
            range: begin..begin.checked_add(length)?,
            program: fields,
            common,
        })
    }

    /// The common information (CIE) of entries.
    fn common(&self, at: usize) -> Option<Common<'_>> {
        let (mut fields, _) = block(self.frames.1, at)?;
        if fields.u32()? != 0 {
            return None;
        }
        let version = fields.u8()?;
        let rest = fields.bytes.get(fields.at..)?;
        let name = rest.get(..rest.iter().position(|byte| *byte == 0)?)?;
        fields.at += name.len() + 1;
        let code_unit = fields.uleb()?;
        let data_unit = fields.sleb()?;
        let column = match version {
            1 => u64::from(fields.u8()?),
            3 => fields.uleb()?,
            _ => return None,
        };
        let has_augmentation = name.first() == Some(&b'z');
        let mut encoding = 0;
        if has_augmentation {
            let length = fields.uleb()? as usize;
            let mut data = Reader {
                bytes: fields.take(length)?,
                at: 0,
            };
            for letter in &name[1..] {
                match letter {
                    b'R' => encoding = data.u8()?,
                    b'L' => {
                        data.u8()?;
                    }
                    b'P' => match data.u8()? & 0x0f {
                        0x03 | 0x0b => data.take(4).map(drop)?,
                        0x00 | 0x04 | 0x0c => data.take(8).map(drop)?,
                        _ => return None,
                    },
                    b'S' => {}
                    _ => return None,
                }
            }
        }
        (column == RETURN && encoding == PC_RELATIVE_I32).then_some(Common {
            has_augmentation,
            code_unit,
            data_unit,
            program: fields,
        })
    }
}

/// The fields of a block that starts with its length, and their offset.
fn block(bytes: &[u8], at: usize) -> Option<(Reader<'_>, usize)> {
    let mut fields = Reader { bytes, at };
    let length = fields.u32()? as usize;
    // 0 ends the table; values from 0xfffffff0 on are reserved and mark a 64-bit length.
    if length == 0 || length >= 0xffff_fff0 {
        return None;
    }
    let begin = fields.at;
    fields.bytes = bytes.get(..begin.checked_add(length)?)?;
    Some((fields, begin))
}

struct Common<'a> {
    has_augmentation: bool,
    code_unit: u64,
    data_unit: i64,
    program: Reader<'a>,
}

struct Entry<'a> {
    range: Range<u64>,
    program: Reader<'a>,
    common: Common<'a>,
}

/// Where the caller's value of a register is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Saved {
    /// Still in the register.
    Same,
    /// Lost.
    Undefined,
    /// In memory, at this offset from the caller's frame.
    At(i64),
    Complex,
}

/// The row of the table for one address of a function.
#[derive(Clone, Copy)]
struct Row {
    /// The caller's frame, as a register and an offset; none if it takes an expression.
    frame: Option<(u64, i64)>,
    rbp: Saved,
    returns: Saved,
}

const FIRST: Row = Row {
    frame: None,
    rbp: Saved::Same,
    returns: Saved::Same,
};

impl Entry<'_> {
    fn rule(&self, address: u64) -> Option<Rule> {
        if !self.range.contains(&address) {
            return None;
        }
        let mut row = FIRST;
        let common = &self.common;
        let mut program = Program {
            common,
            initial: FIRST,
            remembered: [FIRST; REMEMBERED],
            count: 0,
            left: 0,
        };
        program.run(common.program, &mut row)?;
        program.initial = row;
        program.left = address - self.range.start;
        program.run(self.program, &mut row)?;
        row.rule()
    }
}

impl Row {
    fn rule(&self) -> Option<Rule> {
        match self.returns {
            Saved::Same | Saved::Undefined => return Some(Rule::ROOT),
            Saved::At(-8) => {}
            Saved::At(_) | Saved::Complex => return None,
        }
        let (register, offset) = self.frame?;
        let frame_pointer = match self.rbp {
            Saved::Same | Saved::Undefined => 0,
            Saved::At(offset) => i16::try_from(offset).ok().filter(|offset| *offset != 0)?,
            Saved::Complex => return None,
        };
        Some(Rule {
            base: match register {
                RSP => Base::StackPointer,
                RBP => Base::FramePointer,
                _ => return None,
            },
            frame_pointer,
            offset: i32::try_from(offset).ok()?,
        })
    }

    fn set(&mut self, register: u64, saved: Saved) {
        match register {
            RBP => self.rbp = saved,
            RETURN => self.returns = saved,
            _ => {}
        }
    }
}

/// Executes call frame instructions.
struct Program<'a> {
    common: &'a Common<'a>,
    /// The row after the common instructions, to which registers may be restored.
    initial: Row,
    remembered: [Row; REMEMBERED],
    count: usize,
    /// Bytes of code left up to the requested address.
    left: u64,
}

impl Program<'_> {
    /// Advances the row to the requested address; none if an instruction is not supported.
    fn run(&mut self, mut code: Reader<'_>, row: &mut Row) -> Option<()> {
        while code.at < code.bytes.len() {
            let byte = code.u8()?;
            let low = u64::from(byte & 0x3f);
            let is_past = match byte >> 6 {
                1 => self.advance(low)?,
                2 => {
                    let at = self.scaled(code.uleb()?)?;
                    row.set(low, Saved::At(at));
                    false
                }
                3 => {
                    self.restore(low, row);
                    false
                }
                _ => self.other(byte, &mut code, row)?,
            };
            if is_past {
                break;
            }
        }
        Some(())
    }

    /// Returns whether the next row is for addresses past the requested one.
    fn advance(&mut self, units: u64) -> Option<bool> {
        let bytes = units.checked_mul(self.common.code_unit)?;
        if bytes > self.left {
            return Some(true);
        }
        self.left -= bytes;
        Some(false)
    }

    fn scaled(&self, units: u64) -> Option<i64> {
        i64::try_from(units)
            .ok()?
            .checked_mul(self.common.data_unit)
    }

    fn restore(&self, register: u64, row: &mut Row) {
        match register {
            RBP => row.rbp = self.initial.rbp,
            RETURN => row.returns = self.initial.returns,
            _ => {}
        }
    }

    fn other(&mut self, byte: u8, code: &mut Reader<'_>, row: &mut Row) -> Option<bool> {
        match byte {
            // nop
            0x00 => {}
            // advance_loc1, 2, 4
            0x02 => {
                let units = u64::from(code.u8()?);
                return self.advance(units);
            }
            0x03 => {
                let units = code.take(2)?;
                return self.advance(u64::from(u16::from_le_bytes(units.try_into().ok()?)));
            }
            0x04 => {
                let units = u64::from(code.u32()?);
                return self.advance(units);
            }
            // offset_extended
            0x05 => {
                let register = code.uleb()?;
                let at = self.scaled(code.uleb()?)?;
                row.set(register, Saved::At(at));
            }
            // restore_extended
            0x06 => self.restore(code.uleb()?, row),
            // undefined, same_value
            0x07 => row.set(code.uleb()?, Saved::Undefined),
            0x08 => row.set(code.uleb()?, Saved::Same),
            // remember_state, restore_state
            0x0a => {
                *self.remembered.get_mut(self.count)? = *row;
                self.count += 1;
            }
            0x0b => {
                self.count = self.count.checked_sub(1)?;
                *row = *self.remembered.get(self.count)?;
            }
            // def_cfa, def_cfa_register, def_cfa_offset
            0x0c => row.frame = Some((code.uleb()?, i64::try_from(code.uleb()?).ok()?)),
            0x0d => row.frame = Some((code.uleb()?, row.frame?.1)),
            0x0e => row.frame = Some((row.frame?.0, i64::try_from(code.uleb()?).ok()?)),
            // def_cfa_expression
            0x0f => {
                let length = code.uleb()? as usize;
                code.take(length)?;
                row.frame = None;
            }
            // expression, val_expression
            0x10 | 0x16 => {
                row.set(code.uleb()?, Saved::Complex);
                let length = code.uleb()? as usize;
                code.take(length)?;
            }
            // offset_extended_sf
            0x11 => {
                let register = code.uleb()?;
                let at = code.sleb()?.checked_mul(self.common.data_unit)?;
                row.set(register, Saved::At(at));
            }
            // def_cfa_sf, def_cfa_offset_sf
            0x12 => {
                let register = code.uleb()?;
                let offset = code.sleb()?.checked_mul(self.common.data_unit)?;
                row.frame = Some((register, offset));
            }
            0x13 => {
                let offset = code.sleb()?.checked_mul(self.common.data_unit)?;
                row.frame = Some((row.frame?.0, offset));
            }
            // register, val_offset, val_offset_sf: two operands each
            0x09 | 0x14 | 0x15 => {
                row.set(code.uleb()?, Saved::Complex);
                code.uleb()?;
            }
            // GNU_args_size
            0x2e => {
                code.uleb()?;
            }
            _ => return None,
        }
        Some(false)
    }
}
