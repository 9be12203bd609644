//! What people read without a tool.

use crate::aggregate::{Aggregate, Filter};
use crate::drain::Collected;
use crate::handle::Handle;
use crate::stats::Stats;
use crate::tasks;
use davy_profile::Profile;
use rustc_hash::FxHashMap;
use std::fmt::Write as _;

/// The page of what there is.
pub(super) fn index(stats: &Stats) -> String {
    let heap = match stats.heap.off_because {
        "" => "is sampled",
        reason => reason,
    };
    let said = |before: &str, text: &str| match text {
        "" => String::new(),
        text => format!(" {before}: {}", escape(text)),
    };
    let missing = said("Threads are missing", &stats.unsampled_because);
    let failure = said("The last one", &stats.push_error);
    format!(
        "<!doctype html><title>/debug/pprof/</title><h1>/debug/pprof/</h1><ul>\
         <li><a href=profile?seconds=10>profile</a>: CPU time, for <code>?seconds=</code>, \
         at <code>?hz=</code>\
         <li><a href=wall?seconds=10>wall</a>: elapsed time of threads: running, runnable, waiting\
         <li><a href=heap>heap</a>: what lives in the heap, or with <code>?base=</code> what it \
         grew by since so many seconds ago ({heap})\
         <li><a href=allocs>allocs</a>: what was allocated since the start ({heap})\
         <li><a href=tasks>tasks</a>: tasks and where they wait \
         (<a href=tasks?debug=1>as text</a>)\
         <li><a href=threads>threads</a>: threads and what they did so far\
         <li><a href=cmdline>cmdline</a>: how this process was started\
         <li>watch: windows of a second are pushed for <code>?seconds=</code> from now on</ul>\
         <p>Everywhere <code>?member=</code> and <code>?op=</code> keep one member or operation. \
         Open with <code>go tool pprof http://HOST/debug/pprof/profile</code>.\
         <p>{} threads, {} samples, {:.3} s in handlers, {:.3} s in the profiler's own threads.{missing}\
         <p>{} windows were pushed, {} wait ({}), {} pushes failed.{failure}",
        stats.threads,
        stats.samples,
        stats.handler_seconds,
        stats.thread_seconds,
        stats.windows_pushed,
        stats.windows_pending,
        davy_profile::units::bytes(stats.spool_bytes as f64),
        stats.push_failures,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Every task: member, operation, age, polls, and where it waits, innermost first.
pub(super) fn tasks(handle: &Handle, collected: &Collected, filter: &Filter) -> String {
    let mut out = String::from("member\top\tage_seconds\tpolls\twaits_at\n");
    let mut tasks = Vec::new();
    // Many tasks wait in few places, and each place is named once.
    let mut places: FxHashMap<(Box<[u64]>, bool), usize> = FxHashMap::default();
    let mut named: Vec<Aggregate> = Vec::new();
    davy_tag::for_each_task(|task| {
        if filter.keeps(task.tag) {
            let place = places.entry((task.frames.into(), task.is_outdated));
            let place = *place.or_insert_with(|| {
                let mut aggregate = Aggregate::default();
                tasks::add(&mut aggregate, task);
                named.push(aggregate);
                named.len() - 1
            });
            tasks.push((task.tag, task.age_nanos, task.polls, place));
        }
    });
    let named = named.into_iter().map(|aggregate| {
        stack(&handle.name(&Collected {
            aggregate,
            taken: collected.taken,
            modules: collected.modules.clone(),
        }))
    });
    let named: Vec<String> = named.collect();
    // The oldest first, since those that hang are among them.
    tasks.sort_by_key(|(_, age, ..)| std::cmp::Reverse(*age));
    for (tag, age, polls, place) in tasks {
        let (member, op, age) = (tag.member(), tag.op(), age as f64 / 1e9);
        let _ = writeln!(out, "{member}\t{op}\t{age:.3}\t{polls}\t{}", named[place]);
    }
    out
}

/// The functions of the first sample, innermost first.
fn stack(profile: &Profile) -> String {
    let Some(node) = profile.samples.stacks.first() else {
        return String::new();
    };
    let locations = profile.stacks.leaf_to_root(*node);
    let lines = locations.flat_map(|at| profile.lines_of(&profile.locations[at as usize]));
    let names = lines.map(|line| {
        let function = &profile.functions[line.function as usize];
        profile.text(function.name)
    });
    names.collect::<Vec<_>>().join("; ")
}
