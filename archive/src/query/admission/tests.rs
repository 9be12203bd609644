use super::*;
use futures_util::FutureExt;
use object_store::memory::InMemory;
use std::pin::Pin;

type Entering<'a> = Pin<Box<dyn Future<Output = Result<Slot>> + 'a>>;

fn admission(slots: usize, queue: usize) -> Admission {
    let options = ArchiveOptions {
        queries: slots,
        queued_queries: queue,
        ..ArchiveOptions::new(Arc::new(InMemory::new()))
    };
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("fresh registry");
    Admission::new(&options, &metrics)
}

fn tenant(name: &str) -> Tenant {
    Tenant::new(name).expect("a name")
}

/// A query that has asked for a slot.
fn enter<'a>(admission: &'a Admission, tenant: &'a Tenant, size: QuerySize) -> Entering<'a> {
    let mut entering: Entering<'a> = Box::pin(admission.enter(tenant, size));
    let first = entering.as_mut().now_or_never();
    match first {
        None => entering,
        Some(result) => Box::pin(std::future::ready(result)),
    }
}

fn slot(entering: Entering<'_>) -> Slot {
    let entered = entering.now_or_never().expect("it may run");
    entered.unwrap_or_else(|error| panic!("refused: {error}"))
}

fn waits(entering: &mut Entering<'_>) -> bool {
    entering.as_mut().now_or_never().is_none()
}

#[test]
fn tenant_with_fewer_running_queries_is_next() {
    let admission = admission(2, 10);
    let (busy, other) = (tenant("busy"), tenant("other"));
    let of = |tenant| enter(&admission, tenant, QuerySize::Short);
    let first = slot(of(&busy));
    let _second = slot(of(&busy));
    let mut third = of(&busy);
    let mut fourth = of(&other);
    assert!(waits(&mut third) && waits(&mut fourth));
    drop(first);
    let _fourth = slot(fourth);
    assert!(waits(&mut third));
}

#[test]
fn long_queries_leave_half_of_the_slots_to_short_ones() {
    let admission = admission(4, 10);
    let tenant = tenant("a");
    let of = |size| enter(&admission, &tenant, size);
    let _running = [slot(of(QuerySize::Long)), slot(of(QuerySize::Long))];
    let mut long = of(QuerySize::Long);
    assert!(waits(&mut long));
    let short = slot(of(QuerySize::Short));
    let _other = slot(of(QuerySize::Short));
    drop(short);
    assert!(waits(&mut long), "a free slot is not for a third long one");
    assert_eq!(QuerySize::of(SHORT), QuerySize::Short);
    assert_eq!(QuerySize::of(Duration::from_hours(49)), QuerySize::Long);
}

#[test]
fn full_queue_refuses_the_tenant_that_fills_it() {
    let admission = admission(1, 2);
    let (greedy, other) = (tenant("greedy"), tenant("other"));
    let of = |tenant| enter(&admission, tenant, QuerySize::Short);
    let running = slot(of(&greedy));
    let (mut second, third) = (of(&greedy), of(&greedy));
    let mut fourth = of(&other);
    let refused = third.now_or_never().expect("it ended");
    let error = refused.err().expect("refused");
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.retry_after_seconds(), Some(5));
    assert!(error.message.contains("archive.queued_queries"), "{error}");
    assert!(waits(&mut second) && waits(&mut fourth));
    drop(running);
    let _fourth = slot(fourth);
}

#[test]
fn query_that_leaves_frees_its_place_and_its_slot() {
    let admission = admission(1, 2);
    let tenant = tenant("a");
    let of = || enter(&admission, &tenant, QuerySize::Short);
    let running = slot(of());
    let (second, mut third) = (of(), of());
    drop(second);
    drop(running);
    assert!(!waits(&mut third), "it has been granted");
    // Granted, but dropped before it could run.
    drop(third);
    let state = || {
        let state = admission.0.state();
        (state.running, state.waiting(), state.tenants.len())
    };
    let last = slot(of());
    assert_eq!(state(), (1, 0, 1));
    drop(last);
    assert_eq!(state(), (0, 0, 0));
}
