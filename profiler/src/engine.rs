//! The choice of a sampler for CPU profiles.

use crate::Error;
use crate::sampler::Sampler;
use davy_base::Random;

/// What takes CPU samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// One timer per thread; each sample carries its member and operation. The default on Linux on
    /// x86_64 and aarch64, and not available elsewhere.
    #[cfg(native)]
    #[cfg_attr(native, default)]
    Native,
    /// The crate pprof, for other systems and for comparison: one timer for the process, which takes
    /// fewer samples at high rates or with many threads. Its samples have no tag, so all of them are
    /// untagged and none is scaled; the CPU time of each member is known from [`davy_tag::usage`] only.
    #[cfg(feature = "pprof-engine")]
    #[cfg_attr(not(native), default)]
    Pprof,
}

impl Engine {
    /// Installs the SIGPROF handler and starts the sampler.
    pub(crate) fn start(
        self,
        hz: u32,
        has_kernel_stacks: bool,
        random: Random,
    ) -> Result<Box<dyn Sampler>, Error> {
        match self {
            #[cfg(native)]
            Self::Native => crate::cpu::start(hz, has_kernel_stacks, random),
            #[cfg(feature = "pprof-engine")]
            Self::Pprof => {
                let _ = random;
                if has_kernel_stacks {
                    tracing::warn!("the pprof engine does not record stacks of the kernel");
                }
                crate::fallback::start(hz)
            }
        }
    }
}
