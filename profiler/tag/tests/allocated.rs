//! In a process of its own, because the source of allocated bytes is global.

use davy_tag::{Tag, set_allocated_source, start_accounting, usage};
use std::cell::Cell;

thread_local! {
    static ALLOCATED: Cell<u64> = const { Cell::new(1_000_000) };
}

fn allocate(bytes: u64) {
    ALLOCATED.with(|count| count.set(count.get() + bytes));
}

#[test]
fn allocated_bytes_are_charged_to_the_current_tag() {
    // SAFETY: a thread-local without a destructor outlives those with one.
    unsafe { set_allocated_source(|| ALLOCATED.with(Cell::as_ptr).cast_const()) };
    start_accounting();
    let (outer, inner) = (Tag::new("bytes", "outer"), Tag::new("bytes", "inner"));
    for _ in 0..2 {
        std::thread::spawn(move || {
            let guard = outer.enter();
            allocate(100);
            let nested = inner.enter();
            allocate(7);
            drop(nested);
            allocate(1);
            drop(guard);
            allocate(5_000);
        })
        .join()
        .expect("no panic");
    }
    let of = |tag| {
        let usage = usage().into_iter().find(|usage| usage.tag == tag);
        usage.map(|usage| usage.allocated_bytes)
    };
    assert_eq!(of(outer), Some(202));
    assert_eq!(of(inner), Some(14));
}
