//! What people read without a tool.

use crate::aggregate::{Aggregate, Filter};
use crate::drain::Collected;
use crate::handle::Handle;
use crate::stats::Stats;
use crate::tasks;
use std::fmt::Write as _;

/// The page of what there is.
pub(super) fn index(stats: &Stats) -> String {
    let heap = match stats.heap.off_because {
        "" => "on",
        reason => reason,
    };
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
         <li><a href=cmdline>cmdline</a>: how this process was started</ul>\
         <p>Everywhere <code>?member=</code> and <code>?op=</code> keep one member or operation. \
         Open with <code>go tool pprof http://HOST/debug/pprof/profile</code>.\
         <p>{} threads, {} samples, {:.3} s in handlers, {:.3} s in the profiler's own threads.",
        stats.threads, stats.samples, stats.handler_seconds, stats.thread_seconds
    )
}

/// Every task: member, operation, age, polls, and where it waits, innermost first.
pub(super) fn tasks(handle: &Handle, collected: &Collected, filter: &Filter) -> String {
    let mut out = String::from("member\top\tage_seconds\tpolls\twaits_at\n");
    let mut tasks = Vec::new();
    davy_tag::for_each_task(|task| {
        if filter.keeps(task.tag) {
            tasks.push((task.tag, task.age_nanos, task.polls, {
                let mut aggregate = Aggregate::default();
                tasks::add(&mut aggregate, task);
                aggregate
            }));
        }
    });
    // The oldest first, since those that hang are among them.
    tasks.sort_by_key(|(_, age, ..)| std::cmp::Reverse(*age));
    for (tag, age, polls, aggregate) in tasks {
        let one = Collected {
            aggregate,
            taken: collected.taken,
            modules: collected.modules.clone(),
        };
        let profile = handle.name(&one);
        let _ = write!(
            out,
            "{}\t{}\t{:.3}\t{polls}\t",
            tag.member(),
            tag.op(),
            age as f64 / 1e9
        );
        if profile.sample_count() > 0 {
            for location in profile.stacks.leaf_to_root(profile.samples.stacks[0]) {
                for line in profile.lines_of(&profile.locations[location as usize]) {
                    let function = &profile.functions[line.function as usize];
                    let _ = write!(out, "{}; ", profile.text(function.name));
                }
            }
        }
        out.push('\n');
    }
    out
}
