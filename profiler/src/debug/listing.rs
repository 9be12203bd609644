//! Pages for people: the index, and the list of tasks.

use crate::aggregate::{Aggregate, Filter};
use crate::drain::Collected;
use crate::handle::Handle;
use crate::stats::Stats;
use crate::tasks;
use davy_profile::{Profile, units};
use rustc_hash::FxHashMap;
use std::fmt::Write as _;

/// The index page.
pub(super) fn index(stats: &Stats) -> String {
    let heap = match stats.heap.disabled_reason {
        "" => String::new(),
        reason => format!(" (not available: {})", escape(reason)),
    };
    let sentence = |before: &str, text: &str| match text {
        "" => String::new(),
        text => format!(" {before}: {}", escape(text)),
    };
    let missing = sentence("Threads are missing", &stats.unsampled_reason);
    let failure = sentence("Last error", &stats.push_error);
    format!(
        "<!doctype html><title>/debug/pprof/</title><h1>/debug/pprof/</h1><ul>\
         <li><a href=profile?seconds=10>profile</a>: CPU time over <code>?seconds=</code>, \
         sampled at <code>?hz=</code>\
         <li><a href=wall?seconds=10>wall</a>: elapsed time of threads: running, runnable, waiting\
         <li><a href=heap>heap</a>: live memory or, with <code>?base=</code>, its growth over that \
         many seconds up to now{heap}\
         <li><a href=allocs>allocs</a>: memory allocated since the profiler was started{heap}\
         <li><a href=tasks>tasks</a>: tasks and where they wait \
         (<a href=tasks?debug=1>as text</a>)\
         <li><a href=threads>threads</a>: threads and the time they have spent in each state\
         <li><a href=cmdline>cmdline</a>: command line of this process\
         <li>watch: push windows of one second for the next <code>?seconds=</code></ul>\
         <p><code>?member=</code> and <code>?op=</code> select one member or operation. \
         Open with <code>go tool pprof http://HOST/debug/pprof/profile</code>.\
         <p>Sampled threads: {}, samples: {}, time in the signal handler: {}, CPU time of the profiler's \
         own threads: {}.{missing}\
         <p>Windows pushed: {}, pending: {} ({}), failed pushes: {}.{failure}",
        stats.threads,
        stats.samples,
        units::seconds(stats.handler_seconds),
        units::seconds(stats.thread_seconds),
        stats.windows_pushed,
        stats.windows_pending,
        units::bytes(stats.spool_bytes as f64),
        stats.push_failures,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// A table with member, operation, age, polls and stack of every task, the stack's innermost function first.
pub(super) fn tasks(handle: &Handle, collected: &Collected, filter: &Filter) -> String {
    let mut out = String::from("member\top\tage_seconds\tpolls\twaits_at\n");
    let mut tasks = Vec::new();
    // Many tasks share few stacks, and each stack is resolved once.
    let mut numbers: FxHashMap<(Box<[u64]>, bool), usize> = FxHashMap::default();
    let mut stacks: Vec<Aggregate> = Vec::new();
    davy_tag::for_each_task(|task| {
        if filter.keeps(task.tag) {
            let number = numbers.entry((task.frames.into(), task.is_outdated));
            let number = *number.or_insert_with(|| {
                let mut aggregate = Aggregate::default();
                tasks::add(&mut aggregate, task);
                stacks.push(aggregate);
                stacks.len() - 1
            });
            tasks.push((task.tag, task.age_nanos, task.polls, number));
        }
    });
    let stacks = stacks.into_iter().map(|aggregate| {
        stack(&handle.name(&Collected {
            aggregate,
            meta: collected.meta,
            modules: collected.modules.clone(),
        }))
    });
    let stacks: Vec<String> = stacks.collect();
    // Hanging tasks are among the oldest.
    tasks.sort_by_key(|(_, age, ..)| std::cmp::Reverse(*age));
    for (tag, age, polls, number) in tasks {
        let (member, op, age) = (tag.member(), tag.op(), age as f64 / 1e9);
        let _ = writeln!(out, "{member}\t{op}\t{age:.3}\t{polls}\t{}", stacks[number]);
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
