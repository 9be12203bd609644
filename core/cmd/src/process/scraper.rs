//! The member `archive.scraper`.

use super::listeners::Listeners;
use super::parts::Parts;
use super::plan::Plan;
use super::profiling;
use crate::catalogue::MemberId;
use crate::failure::Failure;
use davy_archive::Archive;
use davy_base::Clock;
use davy_runtime::{Context, Member, MemberKind};
use davy_scrape::{ScrapeOptions, Scraper};

/// The scraper of this process, if the member is local and a file names targets.
pub(super) fn new(
    plan: &Plan,
    listeners: &Listeners,
    archive: Option<&Archive>,
    clock: &Clock,
    registry: &prometheus::Registry,
) -> Result<Option<Scraper>, Failure> {
    let is_local = plan.placement.local.contains(&MemberId::ArchiveScraper);
    let config = plan.config.scrape.as_ref().filter(|_| is_local);
    let (Some(config), Some(archive)) = (config, archive) else {
        return Ok(None);
    };
    let token = Some(plan.config.profiler_token.clone());
    let options = ScrapeOptions {
        config: config.clone(),
        archives: profiling::archives(plan, listeners),
        token: token.filter(|token| !token.is_empty()),
        clock: clock.clone(),
    };
    Scraper::new(archive, options, registry)
        .map(Some)
        .map_err(|error| Failure::failed(format!("cannot scrape: {error}")))
}

/// The member. Without a file it does nothing.
pub(super) fn member(name: &'static str, parts: &Parts<'_>) -> Member {
    let (scraper, control) = (parts.scraper.clone(), parts.control.clone());
    Member::new(name, MemberKind::Loop, move |context: Context| {
        let (scraper, control) = (scraper.clone(), control.clone());
        async move {
            context.ready();
            if let Some(scraper) = scraper {
                scraper.run(context.drain()).await;
            } else {
                control.note(
                    name,
                    Some("idle: archive.scrape_file is not set".to_owned()),
                );
                context.draining().await;
            }
            control.note(name, None);
            Ok(())
        }
    })
}
