//! The cgroup of a child: a new one for every run.

use crate::context::Context;
use davy_cgroup::{Cgroup, Hierarchy, Limits};
use tokio::process::Command;

/// Where a child runs and what it may use.
#[derive(Clone, Debug)]
pub struct ChildCgroup {
    hierarchy: Result<Hierarchy, String>,
    name: String,
    limits: Limits,
}

impl ChildCgroup {
    /// The cgroup `name` of a hierarchy. If there is none, the child runs without, and its member says why.
    pub fn new(hierarchy: Result<Hierarchy, String>, name: &str, limits: Limits) -> Self {
        Self {
            hierarchy,
            name: name.to_owned(),
            limits,
        }
    }

    /// Lets a command start in a new cgroup. If there can be none, the child runs without, and its member says why.
    pub(super) async fn enter(self, context: &Context, command: &mut Command) -> Option<Cgroup> {
        context.update_cgroup(|state| {
            state.oom_kills_before = state.oom_kills();
            state.cgroup = None;
        });
        // Removing a cgroup waits for the kernel.
        let created = context
            .spawn_blocking("cgroup", move || self.create())
            .await;
        let (created, problem) = match created {
            Ok(Ok((cgroup, problem))) => (Some(cgroup), problem),
            Ok(Err(problem)) => (None, Some(problem)),
            Err(error) => (None, Some(error.to_string())),
        };
        let entered =
            created.and_then(|cgroup| cgroup.enter(command.as_std_mut()).ok().map(|()| cgroup));
        if let Some(problem) = &problem {
            tracing::warn!(
                member = context.name(),
                problem,
                "the limits of a child do not apply"
            );
        }
        context.update_cgroup(|state| {
            state.cgroup.clone_from(&entered);
            state.problem = problem;
        });
        entered
    }

    /// With the limits, or without them and the reason.
    fn create(&self) -> Result<(Cgroup, Option<String>), String> {
        let hierarchy = self.hierarchy.as_ref().map_err(Clone::clone)?;
        match hierarchy.create(&self.name, &self.limits) {
            Ok(cgroup) => Ok((cgroup, None)),
            // A child without limits is better than none.
            Err(error) => {
                let without = hierarchy.create(&self.name, &Limits::default());
                let cgroup = without.map_err(|error| error.to_string())?;
                Ok((cgroup, Some(error.to_string())))
            }
        }
    }
}
