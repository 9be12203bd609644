//! Every member that this binary has, and the kinds of process that host it unless told otherwise.

/// A kind of process: what `davy KIND` runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everything.
    Quickstart,
    /// What people and programs ask, and the work behind it.
    Web,
    /// What people and programs ask.
    Frontend,
    /// The work behind it.
    Backend,
    /// Takes profiles, keeps them, answers from them.
    Archiver,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 5] = [
        Self::Quickstart,
        Self::Web,
        Self::Frontend,
        Self::Backend,
        Self::Archiver,
    ];

    /// Its name on the command line, in `[process.NAME]` and in the label `process`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Quickstart => "quickstart",
            Self::Web => "web",
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Archiver => "archiver",
        }
    }

    /// The kind of that name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kinds that hold no member of another one of them: what `--split` makes processes of.
    pub(crate) const PARTS: [Self; 3] = [Self::Frontend, Self::Backend, Self::Archiver];

    fn hosts(self, entry: &Entry) -> bool {
        match self {
            Self::Quickstart => true,
            Self::Web => Self::Frontend.hosts(entry) || Self::Backend.hosts(entry),
            part => entry.homes.contains(&part),
        }
    }

    /// The members that it hosts where no configuration says otherwise.
    pub(crate) fn members(self) -> Vec<&'static str> {
        let hosted = MEMBERS.iter().filter(|entry| self.hosts(entry));
        hosted.map(|entry| entry.name).collect()
    }
}

/// A listener that requests for members come in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// The page and the API.
    Http,
    /// Ingestion and query.
    Archive,
}

impl Door {
    /// The member that accepts its connections.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Http => "listener.http",
            Self::Archive => "listener.archive",
        }
    }
}

/// A member that an operator places.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) homes: &'static [Kind],
    /// The listeners that its requests come in by.
    pub(crate) doors: &'static [Door],
    /// The listener that a process opens because it hosts this member.
    pub(crate) opens: Option<Door>,
    /// Whether it does nothing without the database.
    pub(crate) needs_database: bool,
    /// For periodic members: the time from one run to the next.
    pub(crate) interval: &'static str,
    /// Database connections that it may hold at a time, where no configuration says otherwise; none
    /// for a member that asks nothing of the database.
    pub(crate) connections: u32,
}

/// Every member that an operator places. Each process has besides these: `database` and `control`
/// where a member needs the database, its listeners, `debug` and `profiler`.
pub(crate) const MEMBERS: &[Entry] = &[
    Entry {
        name: "api",
        homes: &[Kind::Frontend],
        doors: &[Door::Http],
        opens: Some(Door::Http),
        needs_database: true,
        interval: "",
        connections: 8,
    },
    Entry {
        name: "ui",
        homes: &[Kind::Frontend],
        doors: &[Door::Http],
        opens: Some(Door::Http),
        needs_database: false,
        interval: "",
        connections: 0,
    },
    Entry {
        name: "archive.query",
        homes: &[Kind::Frontend, Kind::Archiver],
        doors: &[Door::Archive, Door::Http],
        opens: None,
        needs_database: false,
        interval: "",
        connections: 0,
    },
    Entry {
        name: "archive.ingest",
        homes: &[Kind::Archiver],
        doors: &[Door::Http, Door::Archive],
        opens: Some(Door::Archive),
        needs_database: false,
        interval: "",
        connections: 0,
    },
    Entry {
        name: "archive.compactor",
        homes: &[Kind::Archiver],
        doors: &[],
        opens: None,
        needs_database: false,
        interval: "",
        connections: 0,
    },
    Entry {
        name: "gc.processes",
        homes: &[Kind::Backend],
        doors: &[],
        opens: None,
        needs_database: true,
        interval: "1m",
        connections: 1,
    },
    Entry {
        name: "gc.audit",
        homes: &[Kind::Backend],
        doors: &[],
        opens: None,
        needs_database: true,
        interval: "1h",
        connections: 1,
    },
];

/// Names of the members that a process has by itself; they are not placed.
pub(crate) const OWN_MEMBERS: [&str; 7] = [
    "database",
    "control",
    "listener.http",
    "listener.archive",
    "listener.parent",
    "debug",
    "profiler",
];

/// The entry of a member.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    MEMBERS.iter().find(|entry| entry.name == name)
}

/// Whether a name matches a pattern, in which `*` stands for any text.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    (0..=rest.len())
        .filter(|at| rest.is_char_boundary(*at))
        .any(|at| matches(after, &rest[at..]))
}
