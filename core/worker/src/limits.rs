//! The limits of a container: those of its task, at most those of the worker.

use davy_cgroup::Limits;
use davy_model::Task;

/// The limits of the container of a task.
pub(crate) fn of(task: &Task, worker: Limits) -> Limits {
    let lower = |task: Option<u64>, worker: Option<u64>| match (task, worker) {
        (Some(task), Some(worker)) => Some(task.min(worker)),
        (task, worker) => task.or(worker),
    };
    Limits {
        memory_max: lower(task.limits.memory_max, worker.memory_max),
        cpu_weight: lower(task.limits.cpu_weight, worker.cpu_weight),
        pids_max: lower(task.limits.pids_max, worker.pids_max),
    }
}
