//! `davy diff`: ranks what changed between two ranges, versions or selectors.

mod ranking;
mod stacks;

pub(crate) use ranking::{Change, RankBy, changes, signed};
pub(crate) use stacks::parsed;

use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use crate::stdout::print;
use crate::{stderr, times};
use davy_archive::types::TypeFilter;
use davy_base::{Clock, Timestamp};
use davy_profile::FlameTree;
use std::time::Duration;

/// Options of `davy diff`.
#[derive(Debug, clap::Args)]
pub(crate) struct DiffOptions {
    /// Profile type: cpu, wall, heap, allocs and so on, as of `davy query`
    #[arg(value_name = "TYPE")]
    profile_type: String,
    /// Series, such as '{service_name="api"}'
    #[arg(long, value_name = "SELECTOR", default_value = "{}")]
    selector: String,
    /// Start: 1h (ago), now-90m, 2026-11-28, "2026-11-28 13:00" (UTC), RFC 3339 or unix time
    #[arg(
        long,
        default_value = "now-1h",
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    from: String,
    /// End, exclusive
    #[arg(
        long,
        default_value = "now",
        value_name = "TIME",
        allow_hyphen_values = true
    )]
    until: String,
    /// Series of the base [default: those of the other side]
    #[arg(long, value_name = "SELECTOR")]
    base_selector: Option<String>,
    /// Start of the base [default: the range of the same length before --from, or --from with another base selector or
    /// version]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    base_from: Option<String>,
    /// End of the base, exclusive
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    base_until: Option<String>,
    /// Value of the label `version`, to compare with --base-version
    #[arg(long, value_name = "VERSION", requires = "base_version")]
    new_version: Option<String>,
    /// Value of the label `version` of the base
    #[arg(long, value_name = "VERSION", requires = "new_version")]
    base_version: Option<String>,
    /// What ranks
    #[arg(long, value_enum, default_value_t = RankBy::Own)]
    rank: RankBy,
    /// Compare shares of the total; the default if the ranges have different lengths
    #[arg(long)]
    by_share: bool,
    /// Maximum number of functions
    #[arg(long, value_name = "N", default_value_t = 30)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What one side selects.
pub(crate) struct Side {
    pub(crate) selector: String,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Side {
    fn length(&self) -> Duration {
        self.until.since(self.from)
    }
}

/// Compares and prints.
pub(crate) fn run(options: &DiffOptions) -> Result<(), Failure> {
    let (side, base) = sides(options)?;
    let client = Client::new(&options.server)?;
    let now = tree(&client, &options.profile_type, &side)?;
    let before = tree(&client, &options.profile_type, &base)?;
    let by_share = options.by_share || side.length() != base.length();
    let all = changes(&now, &before, options.rank, by_share);
    let unit = TypeFilter::parse(&options.profile_type);
    let unit = unit.map_or_else(String::new, |filter| filter.sample_and_unit().1);
    let totals = [total(&now), total(&before)];
    if totals == [0, 0] {
        stderr::print_line("davy: no samples match the query on either side");
    }
    let shown = &all[..all.len().min(options.limit)];
    if options.json {
        let json = serde_json::json!({
            "unit": unit,
            "by_share": by_share,
            "total": totals[0],
            "base_total": totals[1],
            "functions": shown,
            "functions_omitted": all.len() - shown.len(),
        });
        return print(&format!("{json:#}\n"));
    }
    print(&ranking::table(
        &all,
        options.limit,
        totals,
        (&unit, by_share),
        options.rank,
    ))
}

fn total(tree: &FlameTree) -> i64 {
    tree.totals().first().copied().unwrap_or(0)
}

/// Both sides.
fn sides(options: &DiffOptions) -> Result<(Side, Side), Failure> {
    let now = Clock::system().now();
    let time = |flag: &str, text: &str| times::parse(flag, text, now);
    let with_version = |selector: &str, version: Option<&String>| match version {
        None => selector.to_owned(),
        Some(version) => with_matcher(selector, "version", version),
    };
    let side = Side {
        selector: with_version(&options.selector, options.new_version.as_ref()),
        from: time("--from", &options.from)?,
        until: time("--until", &options.until)?,
    };
    let base_selector = options.base_selector.as_ref().unwrap_or(&options.selector);
    let is_other = options.base_selector.is_some() || options.base_version.is_some();
    let (from, until) = if is_other {
        (side.from, side.until)
    } else {
        (side.from.minus(side.length()), side.from)
    };
    let base = Side {
        selector: with_version(base_selector, options.base_version.as_ref()),
        from: options
            .base_from
            .as_ref()
            .map_or(Ok(from), |text| time("--base-from", text))?,
        until: options
            .base_until
            .as_ref()
            .map_or(Ok(until), |text| time("--base-until", text))?,
    };
    times::check_range("--from", side.from, side.until)?;
    times::check_range("--base-from", base.from, base.until)?;
    Ok((side, base))
}

/// A selector with one more matcher.
fn with_matcher(selector: &str, label: &str, value: &str) -> String {
    let inner = selector
        .trim()
        .trim_start_matches('{')
        .trim_end_matches('}')
        .trim();
    let inner = inner.trim_end_matches(',');
    let separator = if inner.is_empty() { "" } else { "," };
    format!("{{{inner}{separator}{label}={value:?}}}")
}

/// The merged stacks of a side. All stacks are fetched, so that every value is exact.
pub(crate) fn tree(client: &Client, kind: &str, side: &Side) -> Result<FlameTree, Failure> {
    let mut query = vec![
        ("type", kind.to_owned()),
        ("selector", side.selector.clone()),
        ("from", side.from.millis().to_string()),
        ("until", side.until.millis().to_string()),
    ];
    if side.selector.trim() == "{}" {
        query.push(("all_services", "true".to_owned()));
    }
    let answer = client.get_answer("/api/v1/profiles/folded", &query)?;
    if answer.is_unknown {
        return Err(Failure::failed(answer.hint.unwrap_or_default()));
    }
    parsed(&answer.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_added_to_a_selector() {
        assert_eq!(with_matcher("{}", "version", "1.2"), r#"{version="1.2"}"#);
        let selector = r#"{service_name="api", }"#;
        let expected = r#"{service_name="api",version="1.2"}"#;
        assert_eq!(with_matcher(selector, "version", "1.2"), expected);
    }
}
