//! `davy archive ls`: what each tenant has stored.

use super::options::ArchiveOptions;
use super::output::{failed, print_json};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stdout::print;
use davy_archive::inspect::TenantLevels;
use davy_profile::units;

pub(super) fn run(options: &ArchiveOptions) -> Result<(), Failure> {
    let tenants = with_archive(&options.flags, async |archive| {
        let levels = archive.levels().await;
        levels.map_err(failed("cannot list the archive"))
    })?;
    if options.json {
        return print_json(&tenants);
    }
    if tenants.is_empty() {
        return print("the archive is empty\n");
    }
    let tables: Vec<String> = tenants.iter().map(table).collect();
    print(&tables.join("\n"))
}

fn table(tenant: &TenantLevels) -> String {
    let size = |bytes: u64| units::bytes(bytes as f64);
    let mut text = format!("tenant {}\n", tenant.tenant);
    text.push_str("  LEVEL     OBJECTS       SIZE  FIRST          LAST           LAG\n");
    for of in &tenant.levels {
        let lag = match of.lag_seconds {
            0 => "-".to_owned(),
            seconds => units::seconds(seconds as f64),
        };
        text.push_str(&format!(
            "  {:8}  {:>7}  {:>9}  {:13}  {:13}  {lag}\n",
            of.level,
            of.pieces,
            size(of.bytes),
            of.first,
            of.last
        ));
    }
    if !tenant.services.is_empty() {
        text.push_str("  SERVICE                         HOUR BLOCKS  DAY BLOCKS  MONTH BLOCKS  (estimates)\n");
    }
    for of in &tenant.services {
        let [hours, days, months] = [of.hour_bytes, of.day_bytes, of.month_bytes].map(size);
        text.push_str(&format!(
            "  {:30}  {hours:>11}  {days:>10}  {months:>12}\n",
            of.service
        ));
    }
    if tenant.quarantined > 0 {
        let objects = units::count(tenant.quarantined, "damaged object", "damaged objects");
        text.push_str(&format!("  {objects} in the quarantine\n"));
    }
    for fault in &tenant.faults {
        text.push_str(&format!("  {fault}\n"));
    }
    text
}
