//! Lengths and effects of x86_64 instructions.
//!
//! Source: AMD64 Architecture Programmer's Manual, volume 3, appendix A (opcode maps). An instruction that is not in
//! the maps below ends the analysis of its function, and one whose effect is not known writes every register.

use super::cursor::{Cursor, Rm};
use super::registers::{ALL, NONE, RAX, RDX, Registers, bit};

/// The effect of an instruction on registers and control flow. Offsets are relative to the end of the
/// instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// `nop`, which compilers also align code with.
    Nop,
    /// Writes these registers, and continues.
    Writes(Registers),
    /// Sets a register to a constant.
    Constant {
        to: u8,
        value: u32,
    },
    /// Copies a register, or its lower half.
    Copy {
        to: u8,
        from: u8,
    },
    /// Loads the word at this offset into a register.
    Load {
        to: u8,
        offset: i64,
    },
    /// `syscall`.
    SystemCall,
    Call(Target),
    /// A jump; it does not continue.
    Jump(Target),
    /// A conditional jump.
    Branch(i64),
    /// Does not continue.
    End,
}

/// Where a call or a jump goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Direct(i64),
    /// To the address in the word at this offset.
    Slot(i64),
    /// To the address in a register.
    Register(u8),
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) length: usize,
    pub(super) effect: Effect,
}

/// The instruction at the start of `bytes`; `None` if it is unknown or does not end within `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Option<Instruction> {
    let mut cursor = Cursor::new(bytes);
    let opcode = cursor.prefixes()?;
    let effect = match opcode {
        0x0f => cursor.two_bytes()?,
        0x62 | 0xc4 | 0xc5 => cursor.vector(opcode)?,
        _ => cursor.one_byte(opcode)?,
    };
    // The processor accepts at most 15 bytes.
    (cursor.at <= 15).then_some(Instruction {
        length: cursor.at,
        effect,
    })
}

impl Cursor<'_> {
    fn one_byte(&mut self, opcode: u8) -> Option<Effect> {
        let low = opcode & 7;
        let register = low | (self.rex & 1) << 3;
        Some(match opcode {
            0x00..=0x3f => self.arithmetic(opcode)?,
            0x58..=0x5f => Effect::Writes(bit(register)),
            0x63 | 0x8d => Effect::Writes(bit(self.operands()?.reg)),
            0x68 | 0xa9 => {
                self.immediate()?;
                Effect::Writes(NONE)
            }
            0x69 => {
                let operands = self.operands()?;
                self.immediate()?;
                Effect::Writes(bit(operands.reg))
            }
            0x6a | 0xa8 => {
                self.skip(1)?;
                Effect::Writes(NONE)
            }
            0x6b => {
                let operands = self.operands()?;
                self.skip(1)?;
                Effect::Writes(bit(operands.reg))
            }
            0x70..=0x7f => Effect::Branch(self.i8()?),
            0x80 | 0x81 | 0x83 => {
                let operands = self.group_operands(opcode)?;
                if opcode == 0x81 {
                    self.immediate()?;
                } else {
                    self.skip(1)?;
                }
                let is_compare = operands.reg & 7 == 7;
                Effect::Writes(if is_compare {
                    NONE
                } else {
                    operands.rm.writes()
                })
            }
            0x84 | 0x85 | 0x8e => {
                self.operands()?;
                Effect::Writes(NONE)
            }
            0x86 | 0x87 => {
                let operands = self.operands_of(opcode)?;
                Effect::Writes(bit(operands.reg) | operands.rm.writes())
            }
            0x88..=0x8b => self.move_register(opcode)?,
            0x8c | 0x8f => Effect::Writes(self.operands()?.rm.writes()),
            0x90 if register == 0 => Effect::Nop,
            0x90..=0x97 => Effect::Writes(bit(RAX) | bit(register)),
            0x98 | 0x9f | 0xd7 | 0xec | 0xed => Effect::Writes(bit(RAX)),
            0x99 => Effect::Writes(bit(RDX)),
            0x50..=0x57 | 0x9b..=0x9e | 0xee | 0xef | 0xf5 | 0xf8..=0xfd => Effect::Writes(NONE),
            0xa4..=0xa7 | 0xaa..=0xaf | 0x6c..=0x6f => Effect::Writes(ALL),
            0xb0..=0xb7 => {
                self.skip(1)?;
                Effect::Writes(bit(self.byte_of(register)))
            }
            0xb8..=0xbf => self.move_immediate(register)?,
            0xc0 | 0xc1 | 0xc6 => {
                let operands = self.group_operands(opcode)?;
                self.skip(1)?;
                Effect::Writes(operands.rm.writes())
            }
            0xc2 => {
                self.skip(2)?;
                Effect::End
            }
            0xc3 | 0xcc | 0xf4 => Effect::End,
            0xc7 => self.store_immediate()?,
            0xc9 => Effect::Writes(bit(5)),
            0xd0..=0xd3 | 0xfe => Effect::Writes(self.group_operands(opcode)?.rm.writes()),
            0xd8..=0xdf => {
                self.operands()?;
                // Of the x87 instructions, `fnstsw` writes AX.
                Effect::Writes(bit(RAX))
            }
            0xe4 | 0xe5 => {
                self.skip(1)?;
                Effect::Writes(bit(RAX))
            }
            0xe8 => Effect::Call(Target::Direct(self.i32()?)),
            0xe9 => Effect::Jump(Target::Direct(self.i32()?)),
            0xeb => Effect::Jump(Target::Direct(self.i8()?)),
            0xf6 | 0xf7 => self.unary(opcode)?,
            0xff => self.indirect()?,
            _ => return None,
        })
    }

    /// `add`, `or`, `adc`, `sbb`, `and`, `sub`, `xor` and `cmp`, in this order.
    fn arithmetic(&mut self, opcode: u8) -> Option<Effect> {
        const SUB: u8 = 5;
        const XOR: u8 = 6;
        const CMP: u8 = 7;
        let (operation, form) = (opcode >> 3, opcode & 7);
        let written = match form {
            0..=3 => {
                let operands = self.operands_of(opcode)?;
                let is_same = operands.rm == Rm::Register(operands.reg);
                if is_same && opcode & 1 == 1 && !self.is_16_bit && matches!(operation, SUB | XOR) {
                    let (to, value) = (operands.reg, 0);
                    return Some(Effect::Constant { to, value });
                }
                if form < 2 {
                    operands.rm.writes()
                } else {
                    bit(operands.reg)
                }
            }
            4 => {
                self.skip(1)?;
                bit(RAX)
            }
            5 => {
                self.immediate()?;
                bit(RAX)
            }
            _ => return None,
        };
        Some(Effect::Writes(if operation == CMP {
            NONE
        } else {
            written
        }))
    }

    /// `mov` between registers, or a register and memory.
    fn move_register(&mut self, opcode: u8) -> Option<Effect> {
        let operands = self.operands_of(opcode)?;
        let is_load = opcode & 2 != 0;
        let is_whole = opcode & 1 == 1 && !self.is_16_bit;
        Some(match (operands.rm, is_load) {
            (Rm::Register(rm), true) if is_whole => Effect::Copy {
                to: operands.reg,
                from: rm,
            },
            (Rm::Register(rm), false) if is_whole => Effect::Copy {
                to: rm,
                from: operands.reg,
            },
            (Rm::Relative(offset), true) if is_whole && self.is_64_bit() => Effect::Load {
                to: operands.reg,
                offset,
            },
            (_, true) => Effect::Writes(bit(operands.reg)),
            (rm, false) => Effect::Writes(rm.writes()),
        })
    }

    fn move_immediate(&mut self, to: u8) -> Option<Effect> {
        if self.is_64_bit() {
            let (value, high) = (self.u32()?, self.u32()?);
            return Some(if high == 0 {
                Effect::Constant { to, value }
            } else {
                Effect::Writes(bit(to))
            });
        }
        if self.is_16_bit {
            self.skip(2)?;
            return Some(Effect::Writes(bit(to)));
        }
        let value = self.u32()?;
        Some(Effect::Constant { to, value })
    }

    /// `mov` of an immediate to a register or to memory.
    fn store_immediate(&mut self) -> Option<Effect> {
        let operands = self.operands()?;
        if operands.reg & 7 != 0 {
            return None;
        }
        if self.is_16_bit {
            self.immediate()?;
            return Some(Effect::Writes(operands.rm.writes()));
        }
        let value = self.u32()?;
        Some(match operands.rm {
            // With 64 bits, the immediate is sign-extended.
            Rm::Register(to) if !self.is_64_bit() || value >> 31 == 0 => {
                Effect::Constant { to, value }
            }
            rm => Effect::Writes(rm.writes()),
        })
    }

    /// `test`, `not`, `neg`, `mul`, `imul`, `div` and `idiv`.
    fn unary(&mut self, opcode: u8) -> Option<Effect> {
        let operands = self.group_operands(opcode)?;
        Some(Effect::Writes(match operands.reg & 7 {
            0 | 1 => {
                if opcode == 0xf6 {
                    self.skip(1)?;
                } else {
                    self.immediate()?;
                }
                NONE
            }
            2 | 3 => operands.rm.writes(),
            _ => bit(RAX) | bit(RDX),
        }))
    }

    /// `inc`, `dec`, indirect calls and jumps, and `push`.
    fn indirect(&mut self) -> Option<Effect> {
        let operands = self.operands()?;
        let target = match operands.rm {
            Rm::Register(register) => Target::Register(register),
            Rm::Relative(offset) => Target::Slot(offset),
            Rm::Memory => Target::Unknown,
        };
        Some(match operands.reg & 7 {
            0 | 1 => Effect::Writes(operands.rm.writes()),
            2 => Effect::Call(target),
            4 => Effect::Jump(target),
            6 => Effect::Writes(NONE),
            _ => return None,
        })
    }

    /// An instruction whose opcode begins with 0x0f.
    fn two_bytes(&mut self) -> Option<Effect> {
        let opcode = self.u8()?;
        let register = opcode & 7 | (self.rex & 1) << 3;
        Some(match opcode {
            0x05 => Effect::SystemCall,
            0x06 | 0x08 | 0x09 | 0x77 | 0xa0 | 0xa1 => Effect::Writes(NONE),
            0x0b => Effect::End,
            0x00..=0x03 | 0x20..=0x23 | 0x78 | 0x79 => {
                self.operands()?;
                Effect::Writes(ALL)
            }
            0x30..=0x33 | 0xa2 => Effect::Writes(ALL),
            0x1f => {
                self.operands()?;
                Effect::Nop
            }
            0x38 => {
                self.skip(1)?;
                self.operands()?;
                Effect::Writes(ALL)
            }
            0x3a => {
                self.skip(1)?;
                self.operands()?;
                self.skip(1)?;
                Effect::Writes(ALL)
            }
            // With 0xf3, `rdsspq` writes its operand; `endbr64` looks as if it did.
            0x1e => {
                let operands = self.operands()?;
                let is_written = self.repeat == 0xf3;
                Effect::Writes(if is_written {
                    operands.rm.writes()
                } else {
                    NONE
                })
            }
            0x2c | 0x2d | 0x40..=0x50 | 0xaf | 0xb2 | 0xb4..=0xb8 | 0xbc..=0xbf | 0xd7 => {
                Effect::Writes(bit(self.operands()?.reg))
            }
            0x70..=0x73 | 0xc2 | 0xc4 | 0xc6 => {
                self.operands()?;
                self.skip(1)?;
                Effect::Writes(NONE)
            }
            0x7e => {
                let operands = self.operands()?;
                let is_to_vector = self.repeat == 0xf3;
                Effect::Writes(if is_to_vector {
                    NONE
                } else {
                    operands.rm.writes()
                })
            }
            0x80..=0x8f => Effect::Branch(self.i32()?),
            0x90..=0x9f => Effect::Writes(self.group_operands(0)?.rm.writes()),
            0xa4 | 0xac | 0xba => {
                let operands = self.operands()?;
                self.skip(1)?;
                Effect::Writes(operands.rm.writes())
            }
            0xa5 | 0xab | 0xad | 0xae | 0xb3 | 0xbb => Effect::Writes(self.operands()?.rm.writes()),
            0xb0 | 0xb1 => {
                let operands = self.group_operands(opcode)?;
                Effect::Writes(bit(RAX) | operands.rm.writes())
            }
            0xb9 | 0xff => {
                self.operands()?;
                Effect::End
            }
            0xc0 | 0xc1 => {
                let operands = self.operands_of(opcode)?;
                Effect::Writes(bit(operands.reg) | operands.rm.writes())
            }
            0xc5 => {
                let operands = self.operands()?;
                self.skip(1)?;
                Effect::Writes(bit(operands.reg))
            }
            // `cmpxchg16b` and `rdrand`.
            0xc7 => Effect::Writes(bit(RAX) | bit(RDX) | self.operands()?.rm.writes()),
            0xc8..=0xcf => Effect::Writes(bit(register)),
            // Vector instructions, hints, `bt` and `movnti` write no general register.
            0x0d
            | 0x10..=0x1f
            | 0xa3
            | 0xc3
            | 0x28..=0x2f
            | 0x51..=0x76
            | 0x7c..=0x7f
            | 0xd0..=0xfe => {
                self.operands()?;
                Effect::Writes(NONE)
            }
            _ => return None,
        })
    }

    /// An instruction with a VEX or EVEX prefix.
    fn vector(&mut self, prefix: u8) -> Option<Effect> {
        let map = match prefix {
            0xc5 => {
                self.skip(1)?;
                1
            }
            0xc4 => {
                let map = self.u8()? & 0x1f;
                self.skip(1)?;
                map
            }
            _ => {
                let map = self.u8()? & 7;
                self.skip(2)?;
                map
            }
        };
        let opcode = self.u8()?;
        // `vzeroupper` and `vzeroall` have no operands.
        if (map, opcode) != (1, 0x77) {
            self.operands()?;
        }
        let has_immediate = match map {
            1 => matches!(opcode, 0x70..=0x73 | 0xc2 | 0xc4..=0xc6),
            2 | 5 | 6 => false,
            3 => true,
            _ => return None,
        };
        self.skip(usize::from(has_immediate))?;
        Some(Effect::Writes(ALL))
    }
}
