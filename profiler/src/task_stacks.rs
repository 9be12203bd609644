//! Notes the stack at which a task takes its waker, which is where the task waits.

use crate::unwind::{self, Registers};

/// Shown as the stack of a task whose stack is not known.
pub(crate) const UNKNOWN: &str = "(not polled yet, or took no waker)";

/// Makes tasks note where they wait from now on.
pub(crate) fn start() {
    unwind::fill_pool();
    davy_tag::set_stack_source(stack);
}

/// A [`davy_tag::StackSource`].
fn stack(below: usize, frames: &mut [u64]) -> usize {
    let here = Registers::here();
    let mut count = 0;
    unwind::with_cache(|cache| {
        unwind::walk_below(below, here, cache, |pc| {
            let Some(frame) = frames.get_mut(count) else {
                return false;
            };
            *frame = pc;
            count += 1;
            true
        });
    });
    count
}
