//! Completes stacks whose outermost callers are missing, from complete stacks of the same process: the
//! kernel's chain ends at the last function with a frame pointer, and the callers above it are few and
//! always the same.

use rustc_hash::FxHashMap;

/// Frames next to the root that are learnt.
const FRAMES: usize = 4;
/// Frames whose callers are kept; further ones are not learnt.
const KNOWN_MAX: usize = 65_536;

/// Callers by process and address; `None` for an address with several callers.
#[derive(Debug, Default)]
pub(crate) struct Roots(FxHashMap<(u32, u64), Option<Vec<u64>>>);

impl Roots {
    /// Learns from a complete stack, leaf first.
    pub(crate) fn learn(&mut self, pid: u32, frames: &[u64]) {
        // The leaf is an instruction, not a return address.
        for index in frames.len().saturating_sub(FRAMES).max(1)..frames.len() {
            let (key, callers) = ((pid, frames[index]), &frames[index + 1..]);
            let is_full = self.0.len() >= KNOWN_MAX;
            match self.0.get_mut(&key) {
                Some(known) if known.as_deref() == Some(callers) => {}
                Some(known) => *known = None,
                None if is_full => {}
                None => {
                    self.0.insert(key, Some(callers.to_vec()));
                }
            }
        }
    }

    /// Adds the callers of a stack's outermost frame, if known. Returns whether the stack is complete.
    pub(crate) fn complete(&self, pid: u32, frames: &mut Vec<u64>) -> bool {
        let last = frames.last().copied().unwrap_or_default();
        match self.0.get(&(pid, last)) {
            Some(Some(callers)) if frames.len() > 1 => {
                frames.extend_from_slice(callers);
                true
            }
            _ => false,
        }
    }

    /// Forgets a process that executed another program.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.0.retain(|(of, _), _| *of != pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stack_is_completed_with_the_callers_that_all_complete_stacks_share() {
        let mut roots = Roots::default();
        roots.learn(7, &[100, 20, 12, 11, 10]);
        let check = |roots: &Roots, pid, frames: &[u64], expected: Option<&[u64]>| {
            let mut completed = frames.to_vec();
            let is_complete = roots.complete(pid, &mut completed);
            assert_eq!(is_complete.then_some(completed.as_slice()), expected);
        };
        check(&roots, 7, &[200, 12], Some(&[200, 12, 11, 10]));
        check(&roots, 7, &[200, 10], Some(&[200, 10]));
        check(&roots, 8, &[200, 12], None);
        check(&roots, 7, &[200, 13], None);
        // A leaf is an instruction; return addresses do not match it.
        check(&roots, 7, &[12], None);
        // Once a function has two callers, neither is used.
        roots.learn(7, &[100, 12, 9]);
        check(&roots, 7, &[200, 12], None);
        check(&roots, 7, &[200, 11], Some(&[200, 11, 10]));
        roots.forget(7);
        check(&roots, 7, &[200, 11], None);
    }
}
