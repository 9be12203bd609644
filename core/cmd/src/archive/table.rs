//! `davy archive table`: publishes the archive as Apache Iceberg tables.

use super::options::ArchiveOptions;
use super::output::{bar, failed, print_json};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stdout::print;
use davy_archive::iceberg::{PublishedTables, TableOptions};
use davy_archive::key::Tenant;
use davy_profile::units;
use std::collections::BTreeMap;

/// Options of the command.
#[derive(Debug, clap::Args)]
pub(crate) struct TableArguments {
    /// URL of the bucket as the engines read it, without the prefix, if it is not that of bucket.url; for example
    /// s3://CONTAINER for the S3 API of Swift
    #[arg(long, value_name = "URL", default_value = "")]
    location: String,
    /// Publish this tenant only
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Say what would be published, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    options: ArchiveOptions,
}

pub(super) fn run(arguments: &TableArguments) -> Result<(), Failure> {
    let tenant = arguments.tenant.as_ref().map(|name| {
        let text = "invalid --tenant: expected a name of 1 to 128 bytes";
        Tenant::new(name).ok_or_else(|| Failure::usage(text))
    });
    let options = TableOptions {
        tenant: tenant.transpose()?,
        location: arguments.location.clone(),
        is_dry_run: arguments.dry_run,
    };
    let all = with_archive(&arguments.options.flags, async |archive| {
        let bar = bar("publishing {wide_bar} {pos}/{len} tables");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let published = archive.publish_tables(&options, &progress).await;
        bar.finish_and_clear();
        published.map_err(failed("cannot publish the tables"))
    })?;
    if arguments.options.json {
        return print_json(&all);
    }
    let texts: Vec<String> = all.iter().map(table).collect();
    print(&texts.join("\n"))
}

fn table(of: &PublishedTables) -> String {
    let mut text = format!(
        "tenant {}: complete until {}\n",
        of.tenant, of.complete_until
    );
    if let Some(day) = &of.samples_from {
        text.push_str(&format!(
            "  samples: complete from {day}; sums has all days\n"
        ));
    }
    text.push_str("  TABLE       FILES        ROWS  ADDED  REMOVED  LOCATION\n");
    for table in &of.tables {
        text.push_str(&format!(
            "  {:10}  {:>5}  {:>10}  {:>5}  {:>7}  {}\n",
            table.table, table.files, table.rows, table.added, table.removed, table.location
        ));
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for left_out in &of.left_out {
        let hours = reasons.entry(left_out.reason).or_default();
        hours.push(&left_out.hour);
    }
    for (reason, hours) in reasons {
        let (first, last) = (hours[0], hours[hours.len() - 1]);
        let count = units::count(hours.len(), "hour", "hours");
        let hours = match hours.len() {
            1 => format!("{count}, {first}"),
            _ => format!("{count}, {first} to {last}"),
        };
        text.push_str(&format!("  left out: {hours}: {reason}\n"));
    }
    for fault in &of.faults {
        text.push_str(&format!("  {fault}\n"));
    }
    text
}
