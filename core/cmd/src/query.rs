//! `davy query`: answers from the archive, as a person or a program wants them.

use crate::cli::{Failure, Server};
use crate::client::Client;
use crate::form::{Form, Format, ROWS, text};
use davy_archive::query::{is_gauge, type_id};

/// Where a range begins unless told otherwise.
const FROM: &str = "now-1h";

/// Options of `davy query`.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Profile type: an id such as process_cpu:cpu:nanoseconds:cpu:nanoseconds, or cpu, wall, heap,
    /// inuse_objects, allocs, alloc_objects, tasks
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Which series, such as '{service_name="davy",member=~"archive.*"}'
    #[arg(long, default_value = "{}", value_name = "SELECTOR")]
    selector: String,
    /// Begin: unix time, RFC 3339, or now-1h
    #[arg(long, default_value = FROM, value_name = "TIME")]
    from: String,
    /// End, not included
    #[arg(long, default_value = "now", value_name = "TIME")]
    until: String,
    /// Labels to group by, such as member,op
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    by: Vec<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    server: Server,
}

/// Asks and prints.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    let format = options.form.format()?;
    let client = Client::new(&options.server)?;
    let kind = type_id(&options.kind).to_owned();
    let mut query = vec![
        ("type", kind.clone()),
        ("selector", options.selector.clone()),
        ("from", options.from.clone()),
        ("until", options.until.clone()),
    ];
    if !options.by.is_empty() {
        query.push(("by", options.by.join(",")));
    }
    let mut limit = |name, default: Option<usize>| {
        if let Some(number) = options.form.max_nodes().or(default) {
            query.push((name, number.to_string()));
        }
    };
    let path = match format {
        // The tree is cut here, from all of the stacks, so that every number in it is exact.
        Format::Text | Format::Folded => "folded",
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
    let body = client.get(&format!("/api/v1/profiles/{path}"), &query)?;
    let unit = kind.split(':').nth(2).unwrap_or("");
    let over = match (is_gauge(&kind), options.from == FROM) {
        (false, _) => "",
        (true, true) => " on average of the range; --from now-1m shows that of the last minute",
        (true, false) => " on average of the range",
    };
    let body = match format {
        Format::Text => {
            let by: Vec<&str> = options.by.iter().map(|label| label.trim()).collect();
            let text = options.form.text(unit).total_is(over);
            text.folded_stacks(&body, &by)?.into_bytes()
        }
        Format::Top => text::table(&body, over)?.into_bytes(),
        _ => body,
    };
    options.form.write(&body)
}
