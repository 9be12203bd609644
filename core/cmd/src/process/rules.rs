//! The member `archive.rules`.

use super::parts::Parts;
use super::plan::Plan;
use crate::catalogue::MemberId;
use crate::failure::Failure;
use davy_archive::Archive;
use davy_archive::recording::RuleRunner;
use davy_runtime::{Context, Member, MemberKind};
use std::sync::Arc;
use tokio::sync::Mutex;

/// What evaluates the recording rules of this process, one start of the member after the other, if the member is local and
/// there can be any: the file can have rules later.
pub(super) fn new(
    plan: &Plan,
    archive: Option<&Archive>,
    registry: &prometheus::Registry,
) -> Result<Option<Arc<Mutex<RuleRunner>>>, Failure> {
    let is_local = plan.placement.local.contains(&MemberId::ArchiveRules);
    let has_file = !plan.loaded.value("archive.rules_file").is_empty();
    let is_used = |archive: &&Archive| is_local && (has_file || archive.rules().is_used());
    let Some(archive) = archive.filter(is_used) else {
        return Ok(None);
    };
    let runner = archive.rule_runner(registry);
    let runner = runner
        .map_err(|error| Failure::failed(format!("cannot evaluate recording rules: {error}")))?;
    Ok(Some(Arc::new(Mutex::new(runner))))
}

/// The member. Without rules it does nothing.
pub(super) fn member(name: &'static str, parts: &Parts<'_>) -> Member {
    let (rules, control) = (parts.rules.clone(), parts.control.clone());
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let (rules, control) = (rules.clone(), control.clone());
        async move {
            context.ready();
            if let Some(rules) = rules {
                rules.lock().await.run(context.drain()).await;
            } else {
                let idle = "idle: neither archive.rules_file nor archive.rules_api is set";
                control.note(name, Some(idle.to_owned()));
                context.draining().await;
            }
            control.note(name, None);
            Ok(())
        }
    })
}
