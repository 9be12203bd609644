//! `davy archive render`: writes the flame graphs and folded logs of old hours and days.

use super::options::ArchiveOptions;
use super::output::{bar, print_json};
use crate::failure::Failure;
use crate::process::with_renderer;
use crate::stdout::print;
use crate::times;
use davy_archive::key::Tenant;
use davy_base::Clock;
use davy_profile::units;
use davy_render::{RenderRange, Rendered};
use std::collections::BTreeMap;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct RenderArguments {
    /// Start of the first hour or day, for example now-30d or 2026-11-01
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: String,
    /// Hours and days that begin at this time or later are left out
    #[arg(
        long,
        value_name = "TIME",
        default_value = "now",
        allow_hyphen_values = true
    )]
    until: String,
    /// Render this tenant only
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Also render what is up to date, for example after a change of settings
    #[arg(long)]
    again: bool,
    /// Say what would be rendered and why, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: ArchiveOptions,
}

impl RenderArguments {
    fn range(&self) -> Result<RenderRange, Failure> {
        let now = Clock::system().now();
        let from = times::parse("--from", &self.from, now)?;
        let until = times::parse("--until", &self.until, now)?;
        if from >= until {
            return Err(Failure::usage(format!(
                "invalid range: --from {from} is not before --until {until}"
            )));
        }
        let tenant = self.tenant.as_ref().map(|name| {
            let text = "invalid --tenant: expected a name of 1 to 128 bytes";
            Tenant::new(name).ok_or_else(|| Failure::usage(text))
        });
        Ok(RenderRange {
            range: from..until,
            tenant: tenant.transpose()?,
            again: self.again,
            dry_run: self.dry_run,
        })
    }
}

pub(super) fn run(arguments: &RenderArguments) -> Result<(), Failure> {
    let range = arguments.range()?;
    let all = with_renderer(&arguments.options.flags, async |_, renderer| {
        let bar = bar("rendering {wide_bar} {pos}/{len} days");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let rendered = renderer.render(&range, &progress).await;
        bar.finish_and_clear();
        rendered.map_err(|error| Failure::because("cannot render the archive")(error))
    })?;
    if arguments.options.json {
        print_json(&all)?;
    } else {
        print(&text(&all, arguments.dry_run))?;
    }
    let failed: Vec<(&Rendered, &String)> = all
        .iter()
        .filter_map(|of| Some((of, of.error.as_ref()?)))
        .collect();
    match failed.first() {
        None => Ok(()),
        Some((first, error)) => {
            let failures = units::count(failed.len(), "failure", "failures");
            Err(Failure::failed(format!(
                "{failures}; the first: {} of tenant {}: {error}",
                first.period, first.tenant
            )))
        }
    }
}

/// One line for each tenant and reason.
fn text(all: &[Rendered], dry_run: bool) -> String {
    let mut lines: BTreeMap<(&str, &str), Vec<&Rendered>> = BTreeMap::new();
    for of in all.iter().filter(|of| of.error.is_none()) {
        let key = (of.tenant.as_str(), of.due.text());
        lines.entry(key).or_default().push(of);
    }
    let mut text = String::new();
    for ((tenant, reason), of) in lines {
        let count = units::count(of.len(), "hour or day", "hours and days");
        let (first, last) = (
            of.iter().map(|of| &of.period).min(),
            of.iter().map(|of| &of.period).max(),
        );
        if let (Some(first), Some(last)) = (first, last) {
            text.push_str(&format!("{tenant}  {count}, {first} to {last}: {reason}\n"));
        }
    }
    let due: Vec<&Rendered> = all
        .iter()
        .filter(|of| of.due.is_due() && of.error.is_none())
        .collect();
    let periods = units::count(due.len(), "hour or day", "hours and days");
    let line = if dry_run {
        format!("would render {periods}\n")
    } else {
        let objects = due.iter().map(|of| of.objects).sum::<u64>();
        let bytes = due.iter().map(|of| of.bytes).sum::<u64>();
        format!(
            "rendered {periods}: {} with {}\n",
            units::count(objects as usize, "object", "objects"),
            units::bytes(bytes as f64)
        )
    };
    text + &line
}
