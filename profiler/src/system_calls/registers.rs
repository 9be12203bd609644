//! Sets of x86_64's general registers.

pub(super) const RAX: u8 = 0;
pub(super) const RCX: u8 = 1;
pub(super) const RDX: u8 = 2;
pub(super) const RSI: u8 = 6;
pub(super) const RDI: u8 = 7;
pub(super) const R8: u8 = 8;
pub(super) const R9: u8 = 9;
pub(super) const R11: u8 = 11;

/// A set of general registers, one bit each.
pub(super) type Registers = u16;

pub(super) const ALL: Registers = Registers::MAX;
pub(super) const NONE: Registers = 0;

/// The set of one register.
pub(super) const fn bit(register: u8) -> Registers {
    1 << register
}
