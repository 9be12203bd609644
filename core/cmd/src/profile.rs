//! `davy profile`: a profile of a running process, now.

mod live;
mod process;

use crate::cli::{Failure, Server};
use crate::client::Client;
use crate::form::Form;
use crate::live::Picture;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// CPU time of the coming seconds
    Cpu,
    /// Time of the coming seconds, waiting included
    Wall,
    /// What lives on the heap
    Heap,
    /// What was allocated since the process began
    Allocs,
    /// Tasks and where they wait
    Tasks,
}

impl Kind {
    /// The endpoint, and the sample type to show.
    const fn source(self) -> (&'static str, &'static str) {
        match self {
            Self::Cpu => ("profile", "cpu"),
            Self::Wall => ("wall", "wall"),
            Self::Heap => ("heap", "inuse_space"),
            Self::Allocs => ("allocs", "alloc_space"),
            Self::Tasks => ("tasks", "tasks"),
        }
    }
}

/// Options of `davy profile`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Options {
    /// What to measure
    #[arg(value_enum)]
    kind: Kind,
    /// Of this process, as `davy members` names it
    #[arg(long)]
    process: Option<String>,
    /// Of the unix process with this number
    #[arg(long)]
    pid: Option<u32>,
    /// Only of this member
    #[arg(long)]
    member: Option<String>,
    /// Only of this operation
    #[arg(long)]
    op: Option<String>,
    /// For how long, where time is measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Samples a second of CPU time
    #[arg(long)]
    hz: Option<u32>,
    /// Labels to group by, such as member,op
    #[arg(long, value_name = "LABELS", value_delimiter = ',')]
    by: Vec<String>,
    /// Show it in the terminal, anew every second
    #[arg(long, conflicts_with_all = ["format", "output", "seconds", "max_nodes", "all_frames"])]
    live: bool,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    server: Server,
}

/// Measures and shows.
pub(crate) fn run(options: &Options) -> Result<(), Failure> {
    if options.live {
        return live::run(Asked::of(options)?, options);
    }
    let format = options.form.format()?;
    let asked = Asked::of(options)?;
    let is_timed = matches!(options.kind, Kind::Cpu | Kind::Wall);
    let pprof = asked.ask(is_timed.then_some(options.seconds.into()))?;
    let Picture { tree, unit } = asked.picture(&pprof)?;
    let (_, sample_type) = options.kind.source();
    let title = format!("{sample_type} {}", asked.process);
    let form = &options.form;
    form.write(&form.drawn(format, &tree, (&title, &unit), || pprof)?)
}

/// What one process is asked for.
struct Asked {
    kind: Kind,
    /// The process's name and number, to show.
    process: String,
    client: Client,
    query: Vec<(&'static str, String)>,
    by: Vec<String>,
}

impl Asked {
    fn of(options: &Options) -> Result<Self, Failure> {
        let row = process::process(options)?;
        let hz = options.hz.filter(|_| options.kind == Kind::Cpu);
        let query = [
            ("member", options.member.clone()),
            ("op", options.op.clone()),
            ("hz", hz.map(|hz| hz.to_string())),
        ];
        let server = Server {
            server: format!("http://{}", row.debug),
            token: None,
        };
        Ok(Self {
            kind: options.kind,
            process: format!("{} ({})", row.process, row.pid),
            client: Client::new(&server)?,
            query: query
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            by: options.by.clone(),
        })
    }

    /// The answer as pprof; of so many seconds, where time is measured.
    fn ask(&self, seconds: Option<u64>) -> Result<Vec<u8>, Failure> {
        let (endpoint, _) = self.kind.source();
        let mut query = self.query.clone();
        query.extend(seconds.map(|seconds| ("seconds", seconds.to_string())));
        self.client.get(&format!("/debug/pprof/{endpoint}"), &query)
    }

    /// The flame graph of an answer.
    fn picture(&self, pprof: &[u8]) -> Result<Picture, Failure> {
        let limits = Limits::default();
        let failed = |error: davy_profile::Error| {
            Failure::Failed(format!("the answer is no pprof: {error}"))
        };
        let unpacked = davy_profile::gzip::unpack(pprof, &limits).map_err(failed)?;
        let profile = davy_profile::pprof::decode(&unpacked, &limits).map_err(failed)?;
        let (_, sample_type) = self.kind.source();
        let types = &profile.sample_types;
        let index = types
            .iter()
            .position(|of| profile.text(of.kind) == sample_type)
            .unwrap_or(0);
        let unit = types.get(index).map_or("", |of| profile.text(of.unit));
        let by: Vec<&str> = self.by.iter().map(String::as_str).collect();
        let mut tree = FlameTree::new();
        tree.add_profile_by(&profile, index, Grain::Function, &by);
        Ok(Picture {
            tree,
            unit: unit.to_owned(),
        })
    }
}
