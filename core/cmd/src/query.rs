//! `davy query`: queries the archive.

mod diff;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Format, OutputOptions, ROWS, text};
use crate::server::Server;
use crate::{stderr, times};
use davy_archive::types::TypeFilter;
use davy_control::nearest;
use davy_profile::names::visible;
use std::borrow::Cow;

/// The default start of the range.
const FROM: &str = "now-1h";
/// Maximum number of services that an error message lists.
const SERVICES_LISTED_MAX: usize = 20;

/// Options of `davy query`.
#[derive(Debug, clap::Args)]
pub(crate) struct QueryOptions {
    /// Profile type: cpu, cpu_samples, wall, wall_samples, heap, inuse_objects, allocs, alloc_objects, tasks, goroutines, exceptions, mutex,
    /// block, an id such as process_cpu:cpu:nanoseconds:cpu:nanoseconds, or (pprof only) memory:*
    #[arg(value_name = "TYPE")]
    profile_type: String,
    /// Series to query, such as '{service_name="davy",member=~"archive.*"}' [default: the only service]
    #[arg(long, value_name = "SELECTOR")]
    selector: Option<String>,
    /// Merge the profiles of all services
    #[arg(long, conflicts_with = "selector")]
    all_services: bool,
    /// Start: 1h (ago), now-90m, 2026-11-28, "2026-11-28 13:00" (UTC), RFC 3339 or unix time
    #[arg(long, default_value = FROM, value_name = "TIME", value_parser = times::checked, allow_hyphen_values = true)]
    from: String,
    /// End, exclusive
    #[arg(long, default_value = "now", value_name = "TIME", value_parser = times::checked, allow_hyphen_values = true)]
    until: String,
    /// Labels to group by, such as member,op
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    by: Vec<String>,
    /// Keep stacks with a frame whose function, file or module matches
    #[arg(long, value_name = "REGEX")]
    focus: Option<String>,
    /// Drop stacks with a frame whose function, file or module matches
    #[arg(long, value_name = "REGEX")]
    ignore: Option<String>,
    /// Remove frames whose function, file or module matches, and samples without other frames
    #[arg(long, value_name = "REGEX")]
    hide: Option<String>,
    /// Keep only frames whose function, file or module matches, and drop samples without any
    #[arg(long, value_name = "REGEX")]
    show: Option<String>,
    /// Keep the subtree of a call path; repeat it for each frame from the root
    #[arg(long, value_name = "FRAME")]
    path: Vec<String>,
    #[command(flatten)]
    base: diff::BaseOptions,
    #[command(flatten)]
    output: OutputOptions,
    #[command(flatten)]
    server: Server,
}

/// Queries the archive and writes the result.
pub(crate) fn run(options: &QueryOptions) -> Result<(), Failure> {
    let format = options.output.format()?;
    if options.base.is_given() && !matches!(format, Format::Text | Format::Folded | Format::Json) {
        return Err(Failure::usage(
            "--diff-from supports the formats text, folded and json only; use one of them, or run `davy diff` for a table of \
             functions",
        ));
    }
    let client = Client::new(&options.server)?;
    let mut query = vec![
        ("type", options.profile_type.clone()),
        ("from", options.from.clone()),
        ("until", options.until.clone()),
    ];
    match &options.selector {
        Some(selector) => query.push(("selector", selector.clone())),
        None if options.all_services => {}
        None => check_single_service(&client, &query)?,
    }
    let by: Vec<&str> = options.by.iter().map(|label| label.trim()).collect();
    if !by.is_empty() {
        check_labels(&client, &query, &by)?;
        query.push(("by", by.join(",")));
    }
    // Only queries that merge accept it; the lists of labels above do not.
    if options.all_services {
        query.push(("all_services", "true".to_owned()));
    }
    let patterns = [
        ("focus", &options.focus),
        ("ignore", &options.ignore),
        ("hide", &options.hide),
        ("show", &options.show),
    ];
    for (name, pattern) in patterns {
        query.extend(pattern.iter().map(|pattern| (name, pattern.clone())));
    }
    query.extend(options.path.iter().map(|frame| ("path", frame.clone())));
    if options.base.is_given() {
        let compared = diff::Compared {
            profile_type: &options.profile_type,
            from: &options.from,
            until: &options.until,
            base: &options.base,
            output: &options.output,
        };
        return diff::run(&client, &compared, format, query);
    }
    let mut limit = |name, default: Option<usize>| {
        if let Some(number) = options.output.max_nodes().or(default) {
            query.push((name, number.to_string()));
        }
    };
    let path = match format {
        // The client prunes the tree, so the server sends all stacks and every value is exact.
        Format::Text | Format::Folded | Format::Flame => "folded",
        Format::Pprof => "pprof",
        Format::Svg => {
            limit("max_nodes", None);
            "svg"
        }
        Format::Top => {
            limit("limit", Some(ROWS));
            "top"
        }
        Format::Json => {
            limit("max_nodes", None);
            "flamegraph"
        }
    };
    if format == Format::Flame {
        return show(&client, options, &query);
    }
    let answer = client.get_answer(&format!("/api/v1/profiles/{path}"), &query)?;
    if answer.is_unknown {
        return Err(Failure::failed(answer.hint.unwrap_or_default()));
    }
    let filter = TypeFilter::parse(&options.profile_type);
    let unit = filter.map_or_else(String::new, |filter| filter.sample_and_unit().1);
    let total_note = match (answer.is_average, options.from == FROM) {
        (false, _) => "",
        (true, true) => " on average of the range; pass --from now-1m for the last minute",
        (true, false) => " on average of the range",
    };
    let body = match format {
        Format::Text => {
            let text = options.output.text(&unit).with_total_note(total_note);
            text.folded_stacks(&answer.body, &by)?.into_bytes()
        }
        Format::Top => text::table(&answer.body, total_note)?.into_bytes(),
        _ => answer.body,
    };
    let is_empty = matches!(format, Format::Text | Format::Top) && body.is_empty();
    let reason = answer.hint.or_else(|| {
        // Samples that a filter leaves out need no explanation by the server.
        is_empty.then(|| "no samples match the query".to_owned())
    });
    if let Some(reason) = reason {
        let default = match options.from.as_str() {
            FROM => "; the default range is the last hour, pass --from for another one",
            _ => "",
        };
        stderr::print_line(format_args!("davy: {reason}{default}"));
    }
    options.output.write(&body)
}

/// Shows the flame graph in the terminal.
fn show(client: &Client, options: &QueryOptions, query: &[(&str, String)]) -> Result<(), Failure> {
    let fetch = |by_member: bool| {
        let mut query = query.to_vec();
        if by_member {
            query.retain(|(name, _)| *name != "by");
            query.push(("by", "member".to_owned()));
        }
        let answer = client.get_answer("/api/v1/profiles/folded", &query)?;
        let tree = crate::diff::parsed(&answer.body)?;
        match answer.hint {
            Some(hint) if tree.stacks.len() < 2 => Err(Failure::failed(hint)),
            _ => Ok(tree),
        }
    };
    let filter = TypeFilter::parse(&options.profile_type);
    let unit = filter.map_or_else(String::new, |filter| filter.sample_and_unit().1);
    let selector = options.selector.as_deref().unwrap_or("all series");
    let headline = format!(
        "davy query {} {selector}, {} to {}",
        options.profile_type, options.from, options.until
    );
    crate::live::browse(fetch, (&headline, &unit), options.output.all_frames())
}

/// Rejects a query that would merge the profiles of several services.
fn check_single_service(client: &Client, query: &[(&str, String)]) -> Result<(), Failure> {
    let mut query = query.to_vec();
    query.push(("name", davy_archive::labels::SERVICE.to_owned()));
    let services: Vec<String> = client.get_json("/api/v1/profiles/labels", &query)?;
    let services: Vec<Cow<'_, str>> = services.iter().map(|name| visible(name)).collect();
    let [first, _, ..] = services.as_slice() else {
        return Ok(());
    };
    let listed = services.iter().take(SERVICES_LISTED_MAX).map(AsRef::as_ref);
    let mut listed: Vec<&str> = listed.collect();
    if services.len() > SERVICES_LISTED_MAX {
        listed.push("...");
    }
    Err(Failure::usage(format!(
        "the range has profiles of {} services ({}); select one with --selector '{{service_name=\"{first}\"}}', or merge them with --all-services",
        services.len(),
        listed.join(", "),
    )))
}

/// Rejects labels to group by that no series in the range has.
fn check_labels(client: &Client, query: &[(&str, String)], by: &[&str]) -> Result<(), Failure> {
    let known: Vec<String> = client.get_json("/api/v1/profiles/labels", query)?;
    // Without any series the query itself reports that there are no samples.
    if known.is_empty() {
        return Ok(());
    }
    for label in by {
        if known.iter().any(|known| known == label) {
            continue;
        }
        let hint = match nearest(label, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known labels: {}", visible(&known.join(", "))),
        };
        return Err(Failure::usage(format!(
            "unknown label {label:?} in --by; {hint}"
        )));
    }
    Ok(())
}
