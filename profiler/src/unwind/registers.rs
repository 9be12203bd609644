//! The registers that a stack walk starts from and keeps up to date.

use super::arch::ArchRegisters;

/// The registers of a frame that are needed to find its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Registers {
    pub(crate) pc: u64,
    pub(crate) sp: u64,
    pub(crate) fp: u64,
    #[cfg(target_arch = "aarch64")]
    pub(crate) lr: u64,
}

impl Registers {
    /// The registers of the code that a signal interrupted.
    ///
    /// # Safety
    /// `context` is the context that the kernel passed to a handler with `SA_SIGINFO`.
    pub(crate) unsafe fn of_signal(context: *const libc::c_void) -> Self {
        // SAFETY: guaranteed by the caller.
        let context = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
        #[cfg(target_arch = "x86_64")]
        {
            let register = |name: libc::c_int| context.gregs[name as usize] as u64;
            Self {
                pc: register(libc::REG_RIP),
                sp: register(libc::REG_RSP),
                fp: register(libc::REG_RBP),
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            Self {
                pc: context.pc,
                sp: context.sp,
                fp: context.regs[29],
                lr: context.regs[30],
            }
        }
    }

    /// The registers of the function that this call is inlined into.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "a call would read the registers of its own frame"
    )]
    pub(crate) fn here() -> Self {
        let (pc, sp, fp): (u64, u64, u64);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: reads three registers and changes nothing.
        unsafe {
            std::arch::asm!(
                "lea {pc}, [rip]", "mov {sp}, rsp", "mov {fp}, rbp",
                pc = out(reg) pc, sp = out(reg) sp, fp = out(reg) fp,
                options(nomem, nostack, preserves_flags)
            );
        }
        #[cfg(target_arch = "x86_64")]
        return Self { pc, sp, fp };
        #[cfg(target_arch = "aarch64")]
        {
            let lr: u64;
            // SAFETY: reads four registers and changes nothing.
            unsafe {
                std::arch::asm!(
                    "adr {pc}, .", "mov {sp}, sp", "mov {fp}, x29", "mov {lr}, x30",
                    pc = out(reg) pc, sp = out(reg) sp, fp = out(reg) fp, lr = out(reg) lr,
                    options(nomem, nostack, preserves_flags)
                );
            }
            Self { pc, sp, fp, lr }
        }
    }

    /// The registers in framehop's form.
    pub(super) fn to_arch(self) -> ArchRegisters {
        #[cfg(target_arch = "x86_64")]
        return ArchRegisters::new(self.pc, self.sp, self.fp);
        #[cfg(target_arch = "aarch64")]
        return ArchRegisters::new(self.lr, self.sp, self.fp);
    }

    /// Takes over the registers that framehop computed, except the program counter.
    pub(super) fn set_arch(&mut self, registers: &ArchRegisters) {
        self.sp = registers.sp();
        #[cfg(target_arch = "x86_64")]
        {
            self.fp = registers.bp();
        }
        #[cfg(target_arch = "aarch64")]
        {
            self.fp = registers.fp();
            self.lr = registers.lr();
        }
    }
}
