//! Every member of this binary, what it needs, and the process kinds that host it by default.

use clap::ValueEnum;
use std::fmt;

/// A kind of process: `davy KIND` runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProcessKind {
    /// Hosts every member.
    Quickstart,
    /// Hosts the members of the frontend and of the backend.
    Web,
    /// Serves the page, the API and queries.
    Frontend,
    /// Runs the periodic members.
    Backend,
    /// Ingests, compacts and queries profiles.
    Archiver,
}

impl ProcessKind {
    /// All kinds.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The kinds that share all members between them; `--split` starts a process of each.
    pub(crate) const PARTS: [Self; 3] = [Self::Frontend, Self::Backend, Self::Archiver];

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

    /// The kind with a name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::all().find(|kind| kind.name() == name)
    }

    fn hosts(self, member: MemberId) -> bool {
        match self {
            Self::Quickstart => true,
            Self::Web => Self::Frontend.hosts(member) || Self::Backend.hosts(member),
            part => member.spec().hosted_by.contains(&part),
        }
    }

    /// The members that it hosts by default.
    pub(crate) fn members(self) -> Vec<MemberId> {
        MemberId::all()
            .filter(|member| self.hosts(*member))
            .collect()
    }
}

/// A listener that accepts requests for members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PublicListener {
    /// The page and the API.
    Http,
    /// Ingestion and queries.
    Archive,
}

impl PublicListener {
    /// The member that accepts its connections.
    pub(crate) const fn member(self) -> BuiltinMember {
        match self {
            Self::Http => BuiltinMember::ListenerHttp,
            Self::Archive => BuiltinMember::ListenerArchive,
        }
    }
}

/// A member that an operator can place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum MemberId {
    Api,
    Ui,
    Gateway,
    ArchiveQuery,
    ArchiveIngest,
    ArchiveCompactor,
    ArchiveRenderer,
    ArchiveArclamp,
    ArchiveScraper,
    ArchiveRules,
    GcProcesses,
    GcAudit,
    GcBuilds,
    GcContainers,
    GcVolumes,
    GcWorkers,
}

/// Properties of a member.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MemberSpec {
    pub(crate) name: &'static str,
    /// The process kinds that host it by default.
    pub(crate) hosted_by: &'static [ProcessKind],
    /// The listeners that accept requests for it, the preferred one first.
    pub(crate) listeners: &'static [PublicListener],
    /// The listener that a process opens because it hosts this member.
    pub(crate) opens: Option<PublicListener>,
    /// Whether it can't work without the database.
    pub(crate) needs_database: bool,
    /// For periodic members: the default time between two ticks.
    pub(crate) interval: Option<&'static str>,
    /// The default of `member.NAME.connections`; 0 for a member that does not use the database.
    pub(crate) connections: u32,
}

/// A member that uses neither a listener nor the database.
const PLAIN: MemberSpec = MemberSpec {
    name: "",
    hosted_by: &[],
    listeners: &[],
    opens: None,
    needs_database: false,
    interval: None,
    connections: 0,
};

impl MemberId {
    /// All members.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The properties of this member.
    pub(crate) const fn spec(self) -> MemberSpec {
        match self {
            Self::Api => MemberSpec {
                name: "api",
                hosted_by: &[ProcessKind::Frontend],
                listeners: &[PublicListener::Http],
                opens: Some(PublicListener::Http),
                needs_database: true,
                connections: 8,
                ..PLAIN
            },
            Self::Ui => MemberSpec {
                name: "ui",
                hosted_by: &[ProcessKind::Frontend],
                listeners: &[PublicListener::Http],
                opens: Some(PublicListener::Http),
                ..PLAIN
            },
            Self::Gateway => MemberSpec {
                name: "gateway",
                hosted_by: &[ProcessKind::Frontend],
                listeners: &[PublicListener::Http],
                opens: Some(PublicListener::Http),
                needs_database: true,
                connections: 4,
                ..PLAIN
            },
            Self::ArchiveQuery => MemberSpec {
                name: "archive.query",
                hosted_by: &[ProcessKind::Frontend, ProcessKind::Archiver],
                listeners: &[PublicListener::Archive, PublicListener::Http],
                ..PLAIN
            },
            Self::ArchiveIngest => MemberSpec {
                name: "archive.ingest",
                hosted_by: &[ProcessKind::Archiver],
                listeners: &[PublicListener::Http, PublicListener::Archive],
                opens: Some(PublicListener::Archive),
                ..PLAIN
            },
            Self::ArchiveCompactor => MemberSpec {
                name: "archive.compactor",
                hosted_by: &[ProcessKind::Archiver],
                ..PLAIN
            },
            Self::ArchiveRenderer => MemberSpec {
                name: "archive.renderer",
                hosted_by: &[ProcessKind::Archiver],
                ..PLAIN
            },
            Self::ArchiveArclamp => MemberSpec {
                name: "archive.arclamp",
                hosted_by: &[ProcessKind::Archiver],
                connections: 1,
                ..PLAIN
            },
            Self::ArchiveScraper => MemberSpec {
                name: "archive.scraper",
                hosted_by: &[ProcessKind::Archiver],
                ..PLAIN
            },
            Self::ArchiveRules => MemberSpec {
                name: "archive.rules",
                hosted_by: &[ProcessKind::Archiver],
                ..PLAIN
            },
            Self::GcProcesses => MemberSpec {
                name: "gc.processes",
                hosted_by: &[ProcessKind::Backend],
                needs_database: true,
                interval: Some("1m"),
                connections: 1,
                ..PLAIN
            },
            Self::GcAudit => MemberSpec {
                name: "gc.audit",
                hosted_by: &[ProcessKind::Backend],
                needs_database: true,
                interval: Some("1h"),
                connections: 1,
                ..PLAIN
            },
            Self::GcBuilds => MemberSpec {
                name: "gc.builds",
                hosted_by: &[ProcessKind::Backend],
                needs_database: true,
                interval: Some("30s"),
                connections: 1,
                ..PLAIN
            },
            Self::GcContainers => MemberSpec {
                name: "gc.containers",
                hosted_by: &[ProcessKind::Backend],
                needs_database: true,
                interval: Some("30s"),
                connections: 1,
                ..PLAIN
            },
            Self::GcVolumes => MemberSpec {
                name: "gc.volumes",
                hosted_by: &[ProcessKind::Backend],
                needs_database: true,
                interval: Some("30s"),
                connections: 1,
                ..PLAIN
            },
            Self::GcWorkers => MemberSpec {
                name: "gc.workers",
                hosted_by: &[ProcessKind::Backend],
                needs_database: true,
                interval: Some("30s"),
                connections: 1,
                ..PLAIN
            },
        }
    }

    /// Its name in the configuration, the API and in labels.
    pub(crate) const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The member with a name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::all().find(|member| member.name() == name)
    }

    /// Whether it works on the archive.
    pub(crate) const fn uses_archive(self) -> bool {
        match self {
            Self::ArchiveQuery
            | Self::ArchiveIngest
            | Self::ArchiveCompactor
            | Self::ArchiveRenderer
            | Self::ArchiveScraper
            | Self::ArchiveRules => true,
            Self::Api
            | Self::Ui
            | Self::Gateway
            | Self::ArchiveArclamp
            | Self::GcProcesses
            | Self::GcAudit
            | Self::GcBuilds
            | Self::GcContainers
            | Self::GcVolumes
            | Self::GcWorkers => false,
        }
    }

    /// Whether a listener accepts requests for it.
    pub(crate) fn is_behind(self, listener: PublicListener) -> bool {
        self.spec().listeners.contains(&listener)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member that runs in every process that needs it. Operators cannot place it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BuiltinMember {
    Database,
    Control,
    ListenerHttp,
    ListenerArchive,
    ListenerParent,
    Debug,
    Profiler,
}

impl BuiltinMember {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::Control => "control",
            Self::ListenerHttp => "listener.http",
            Self::ListenerArchive => "listener.archive",
            Self::ListenerParent => "listener.parent",
            Self::Debug => "debug",
            Self::Profiler => "profiler",
        }
    }
}

/// Whether a name matches a pattern, in which `*` matches any text.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_operation_belongs_to_a_member_of_the_catalogue() {
        for operation in davy_control::operations() {
            let builtin = BuiltinMember::all().any(|member| member.name() == operation.member);
            assert!(
                builtin || MemberId::find(operation.member).is_some(),
                "{} belongs to unknown member {:?}",
                operation.id,
                operation.member
            );
        }
    }

    #[test]
    fn member_names_are_unique() {
        let names = MemberId::all().map(MemberId::name);
        let names: Vec<_> = names
            .chain(BuiltinMember::all().map(BuiltinMember::name))
            .collect();
        let unique: BTreeSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
    }

    #[test]
    fn processes_of_a_split_host_every_member() {
        for member in MemberId::all() {
            let hosted = ProcessKind::PARTS.iter().any(|kind| kind.hosts(member));
            assert!(hosted, "{member} is in no process kind");
        }
    }
}
