//! The parts of an x86_64 instruction: prefixes, operands and immediates.

use super::registers::{NONE, Registers, bit};

/// A position in the bytes of an instruction, and the prefixes before it.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) rex: u8,
    /// Whether the operands have 16 bits.
    pub(super) is_16_bit: bool,
    /// The prefix 0xf2 or 0xf3, or 0.
    pub(super) repeat: u8,
}

/// The operands of an instruction with a ModRM byte.
#[derive(Clone, Copy)]
pub(super) struct Operands {
    /// The register operand, or a part of the opcode.
    pub(super) reg: u8,
    pub(super) rm: Rm,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rm {
    Register(u8),
    Memory,
    /// Memory relative to `rip`: the offset from the end of the instruction, if no immediate follows.
    Relative(i64),
}

impl Rm {
    pub(super) fn writes(self) -> Registers {
        match self {
            Self::Register(register) => bit(register),
            Self::Memory | Self::Relative(_) => NONE,
        }
    }
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            rex: 0,
            is_16_bit: false,
            repeat: 0,
        }
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.at += count;
        (self.at <= self.bytes.len()).then_some(())
    }

    pub(super) fn i8(&mut self) -> Option<i64> {
        Some(i64::from(self.u8()? as i8))
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        let bytes = self.bytes.get(self.at..self.at + 4)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    pub(super) fn i32(&mut self) -> Option<i64> {
        Some(i64::from(self.u32()? as i32))
    }

    pub(super) fn is_64_bit(&self) -> bool {
        self.rex & 8 != 0
    }

    /// Skips an immediate of the operands' width, of at most 32 bits.
    pub(super) fn immediate(&mut self) -> Option<()> {
        self.skip(if self.is_16_bit { 2 } else { 4 })
    }

    /// Reads prefixes, and returns the opcode.
    pub(super) fn prefixes(&mut self) -> Option<u8> {
        loop {
            let byte = self.u8()?;
            match byte {
                0x66 => self.is_16_bit = true,
                0xf2 | 0xf3 => self.repeat = byte,
                0x26 | 0x2e | 0x36 | 0x3e | 0x64 | 0x65 | 0x67 | 0xf0 => {}
                0x40..=0x4f => {
                    self.rex = byte;
                    self.is_16_bit &= byte & 8 == 0;
                    // A REX prefix counts only right before the opcode.
                    return self.u8().filter(|byte| !is_prefix(*byte));
                }
                opcode => return Some(opcode),
            }
        }
    }

    pub(super) fn operands(&mut self) -> Option<Operands> {
        let modrm = self.u8()?;
        let (mode, low) = (modrm >> 6, modrm & 7);
        let reg = modrm >> 3 & 7 | (self.rex & 4) << 1;
        if mode == 3 {
            let rm = Rm::Register(low | (self.rex & 1) << 3);
            return Some(Operands { reg, rm });
        }
        let mut has_base = true;
        let mut rm = Rm::Memory;
        if low == 4 {
            has_base = self.u8()? & 7 != 5;
        } else if low == 5 && mode == 0 {
            rm = Rm::Relative(self.i32()?);
        }
        match mode {
            0 if !has_base => self.skip(4)?,
            1 => self.skip(1)?,
            2 => self.skip(4)?,
            _ => {}
        }
        Some(Operands { reg, rm })
    }

    /// A register of one byte: without REX, numbers from 4 are second bytes of the first four.
    pub(super) fn byte_of(&self, register: u8) -> u8 {
        if self.rex == 0 && register & 4 != 0 {
            register & 3
        } else {
            register
        }
    }

    /// Two register operands, of one byte if the lowest bit of the opcode is 0.
    pub(super) fn operands_of(&mut self, opcode: u8) -> Option<Operands> {
        let mut operands = self.group_operands(opcode)?;
        if opcode & 1 == 0 {
            operands.reg = self.byte_of(operands.reg);
        }
        Some(operands)
    }

    /// Like [`Cursor::operands_of`], where the register operand is a part of the opcode.
    pub(super) fn group_operands(&mut self, opcode: u8) -> Option<Operands> {
        let mut operands = self.operands()?;
        if let (Rm::Register(register), 0) = (operands.rm, opcode & 1) {
            operands.rm = Rm::Register(self.byte_of(register));
        }
        Some(operands)
    }
}

fn is_prefix(byte: u8) -> bool {
    matches!(
        byte,
        0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3
    )
}
