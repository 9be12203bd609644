//! framehop's types for this processor.

#[cfg(target_arch = "aarch64")]
pub(super) use framehop::aarch64::{
    CacheAarch64 as ArchCache, UnwindRegsAarch64 as ArchRegisters, UnwinderAarch64 as ArchUnwinder,
};
#[cfg(target_arch = "x86_64")]
pub(super) use framehop::x86_64::{
    CacheX86_64 as ArchCache, UnwindRegsX86_64 as ArchRegisters, UnwinderX86_64 as ArchUnwinder,
};
