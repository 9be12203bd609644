//! A rule that leads from a frame to its caller: two offsets.

use super::registers::Registers;
use crate::thread::StackReader;

/// The outcome of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The return address into the caller.
    Caller(u64),
    /// The frame has no caller.
    Root,
    /// The stack contradicts the rule.
    Failed,
    /// The frame has no rule of this form.
    Complex,
}

/// What the offset of the caller's frame is relative to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The frame has no rule of this form.
    Complex,
    /// The frame is the root and has no caller.
    Root,
    StackPointer,
    FramePointer,
}

/// Leads from a frame to its caller's. The return address is the word below the caller's frame, as always
/// on x86_64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) base: Base,
    /// Offset of the saved frame pointer from the caller's frame; 0 if it was not saved.
    pub(super) frame_pointer: i16,
    /// Offset of the caller's frame from the base.
    pub(super) offset: i32,
}

impl Rule {
    pub(super) const COMPLEX: Self = Self::without_offsets(Base::Complex);
    pub(super) const ROOT: Self = Self::without_offsets(Base::Root);

    const fn without_offsets(base: Base) -> Self {
        Self {
            base,
            frame_pointer: 0,
            offset: 0,
        }
    }

    /// Goes from a frame to its caller.
    #[inline]
    pub(super) fn step(
        self,
        is_leaf: bool,
        frame: &mut Registers,
        stack: &mut StackReader,
    ) -> Step {
        let base = match self.base {
            Base::StackPointer => frame.sp,
            Base::FramePointer => frame.fp,
            Base::Root => return Step::Root,
            Base::Complex => return Step::Complex,
        };
        let sp = base.wrapping_add_signed(i64::from(self.offset));
        if sp <= frame.sp {
            return Step::Failed;
        }
        if self.frame_pointer != 0 {
            let at = sp.wrapping_add_signed(i64::from(self.frame_pointer));
            match stack.read(at) {
                Ok(fp) => frame.fp = fp,
                // The epilogue has already restored it, which some tables omit.
                Err(()) if is_leaf && at < frame.sp => {}
                Err(()) => return Step::Failed,
            }
        }
        let Ok(caller) = stack.read(sp - 8) else {
            return Step::Failed;
        };
        if caller == 0 {
            return Step::Root;
        }
        (frame.pc, frame.sp) = (caller, sp);
        Step::Caller(caller)
    }
}
