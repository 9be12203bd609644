//! What the roots of a process's threads look like, learnt from stacks that are whole: a stack that the
//! kernel's chain leads to the last function with a frame pointer lacks the same few callers.

use rustc_hash::FxHashMap;

/// Frames of a root that are learnt.
const FRAMES: usize = 4;
/// Frames that are remembered; what comes beyond is not learnt.
const KNOWN_MAX: usize = 65_536;

/// Callers by process and address; none where one address has had several.
#[derive(Debug, Default)]
pub(crate) struct Roots(FxHashMap<(u32, u64), Option<Vec<u64>>>);

impl Roots {
    /// From a whole stack, the leaf first.
    pub(crate) fn learn(&mut self, pid: u32, frames: &[u64]) {
        // The leaf is where an instruction is, not where a caller goes on.
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

    /// Adds the callers of a stack's last frame, if they are known: whether it is whole now.
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

    /// A process became another program.
    pub(crate) fn forget(&mut self, pid: u32) {
        self.0.retain(|(of, _), _| *of != pid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_gets_the_callers_that_all_whole_ones_agree_on() {
        let mut roots = Roots::default();
        roots.learn(7, &[100, 20, 12, 11, 10]);
        let check = |roots: &Roots, pid, frames: &[u64], expected: Option<&[u64]>| {
            let mut completed = frames.to_vec();
            let is_whole = roots.complete(pid, &mut completed);
            assert_eq!(is_whole.then_some(completed.as_slice()), expected);
        };
        check(&roots, 7, &[200, 12], Some(&[200, 12, 11, 10]));
        check(&roots, 7, &[200, 10], Some(&[200, 10]));
        check(&roots, 8, &[200, 12], None);
        check(&roots, 7, &[200, 13], None);
        // An instruction says nothing of its callers.
        check(&roots, 7, &[12], None);
        // A second caller of the same function: from now on nothing is known of it.
        roots.learn(7, &[100, 12, 9]);
        check(&roots, 7, &[200, 12], None);
        check(&roots, 7, &[200, 11], Some(&[200, 11, 10]));
        roots.forget(7);
        check(&roots, 7, &[200, 11], None);
    }
}
