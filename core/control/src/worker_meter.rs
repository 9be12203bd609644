//! The usage of a process that has neither a database nor endpoints: a worker.

use crate::control::Identity;
use crate::meter::Meter;
use crate::report::{KernelStatistics, MemberReport, OperationReport, Report};
use crate::usage::Usage;
use davy_base::Clock;
use davy_profiler::Handle as Profiler;
use std::collections::BTreeMap;

/// Reads the usage of the members of a worker.
pub struct WorkerMeter {
    identity: Identity,
    clock: Clock,
    meter: Meter,
    started_at: i64,
}

impl WorkerMeter {
    /// A meter of this process.
    pub fn new(identity: Identity, clock: Clock, profiler: Option<Profiler>) -> Self {
        Self {
            meter: Meter::new(clock.clone(), None, None, profiler),
            started_at: clock.now().millis(),
            identity,
            clock,
        }
    }

    /// The current report. Members named in `members` are in it even if they have used nothing yet.
    pub fn report(&self, members: &[&str]) -> Report {
        let mut rows: BTreeMap<String, Vec<OperationReport>> = members
            .iter()
            .map(|name| ((*name).to_owned(), Vec::new()))
            .collect();
        for ((member, op), usage) in self.meter.read() {
            let member = if member.is_empty() {
                "(untagged)".to_owned()
            } else {
                member
            };
            let operations = rows.entry(member).or_default();
            operations.push(OperationReport { op, usage });
        }
        let rows = rows.into_iter().map(|(name, operations)| {
            let mut usage = Usage::default();
            for operation in &operations {
                usage.add(&operation.usage);
            }
            let is_member = members.contains(&name.as_str());
            MemberReport {
                state: if is_member { "ready" } else { "-" }.to_owned(),
                since: if is_member { self.started_at } else { 0 },
                name,
                restarts: 0,
                leaked: 0,
                child_pid: None,
                cgroup: None,
                error: None,
                note: None,
                connections: None,
                usage,
                operations,
            }
        });
        Report {
            id: self.identity.id.to_string(),
            process: self.identity.process.clone(),
            host: self.identity.host.clone(),
            pid: std::process::id(),
            debug: self.identity.debug.clone(),
            at: self.clock.now().millis(),
            kernel: KernelStatistics::read(),
            members: rows.collect(),
        }
    }
}
