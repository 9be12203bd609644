//! `davy changes`: what grew, shrank, is new or gone, as the page Incident shows it.

mod table;

use crate::client::Client;
use crate::failure::Failure;
use crate::server::Server;
use crate::stderr;
use crate::stdout::print;
use crate::times;
use davy_base::Clock;
use serde_json::Value;

/// The range that usage is compared with.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Against {
    Hour,
    Day,
    Week,
}

/// Options of `davy changes`.
#[derive(Debug, clap::Args)]
pub(crate) struct ChangesOptions {
    /// Only changes of this measure
    #[arg(value_enum)]
    measure: Option<table::Measure>,
    /// Series, such as '{service_name="api"}'
    #[arg(long, value_name = "SELECTOR", default_value = "{}")]
    selector: String,
    /// Start: 1h (ago), now-90m, 2026-11-28, "2026-11-28 13:00" (UTC), RFC 3339 or unix time
    #[arg(
        long,
        default_value = "now-10m",
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
    /// The earlier range that ranks the changes [default: the first of hour, day and week that has profiles]
    #[arg(long, value_enum)]
    against: Option<Against>,
    /// Labels to group by, separated by commas
    #[arg(long, value_name = "LABELS", default_value = "service_name,member")]
    by: String,
    /// Show what did not change, too
    #[arg(long)]
    all: bool,
    /// Maximum number of changes
    #[arg(long, value_name = "N", default_value_t = 30)]
    limit: usize,
    /// Print the response of the server as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

const PATH: &str = "/api/v1/profiles/changes";
/// The changes that the server ranks, of which some are left out here.
const CHANGES_MAX: usize = 100_000;

/// Asks the server and prints.
pub(crate) fn run(options: &ChangesOptions) -> Result<(), Failure> {
    let now = Clock::system().now();
    let time = |flag: &str, text: &str| {
        times::parse(flag, text, now).map(|time| time.millis().to_string())
    };
    let limit = if options.json {
        options.limit
    } else {
        CHANGES_MAX
    };
    let mut query = vec![
        ("selector", options.selector.clone()),
        ("from", time("--from", &options.from)?),
        ("until", time("--until", &options.until)?),
        ("by", options.by.clone()),
        ("limit", limit.to_string()),
    ];
    let against = options.against.map(|against| match against {
        Against::Hour => "hour",
        Against::Day => "day",
        Against::Week => "week",
    });
    query.extend(against.map(|against| ("against", against.to_owned())));
    let client = Client::new(&options.server)?;
    if options.json {
        let answer: Value = client.get_json(PATH, &query)?;
        return print(&format!("{answer:#}\n"));
    }
    let answer: table::Answer = client.get_json(PATH, &query)?;
    if answer.has_no_samples() {
        stderr::print_line("davy: no samples match the query, now or earlier");
    }
    for partial in answer.partial() {
        stderr::print_line(format!("davy: incomplete: {partial}"));
    }
    print(&table::table(
        &answer,
        options.measure,
        options.all,
        options.limit,
    ))
}
