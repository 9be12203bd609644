//! Placement: which members a process hosts, and which of them run in child processes.

use crate::catalogue::{self, MemberId, ProcessKind};
use crate::config::{Error, Loaded, Source, find_setting};
use davy_control::nearest;
use std::collections::BTreeSet;

/// The members of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// Name of the process: a process kind or the NAME of `[process.NAME]`.
    pub(crate) process: String,
    /// Members that run in this process.
    pub(crate) local: Vec<MemberId>,
    /// The processes that it starts.
    pub(crate) children: Vec<ChildPlacement>,
}

/// The members of a child process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChildPlacement {
    pub(crate) process: String,
    pub(crate) members: Vec<MemberId>,
}

impl Placement {
    /// The placement of `davy KIND` and `davy run NAME`.
    pub(crate) fn of_process(loaded: &Loaded, process: &str) -> Result<Self, Error> {
        check_coverage(loaded)?;
        let members = members_of(loaded, process)?;
        check_owners(loaded, process, &members)?;
        Self::divided(loaded, process, members)
    }

    /// The placement of `davy quickstart --split`: no local members, a child for every process.
    pub(crate) fn split(loaded: &Loaded) -> Result<Self, Error> {
        check_coverage(loaded)?;
        let children = parts(loaded).into_iter().map(|process| {
            let members = members_of(loaded, &process)?;
            // The child divides them again; an error is reported here, before it starts.
            divide(loaded, members.clone())?;
            Ok(ChildPlacement { process, members })
        });
        Ok(Self {
            process: ProcessKind::Quickstart.name().to_owned(),
            local: Vec::new(),
            children: children.collect::<Result<_, Error>>()?,
        })
    }

    /// The placement of a child process that hosts these members. A single member is local even if the
    /// configuration isolates it: the child is its isolated process.
    pub(crate) fn of_child(
        loaded: &Loaded,
        process: &str,
        members: Vec<MemberId>,
    ) -> Result<Self, Error> {
        if members.len() == 1 {
            return Ok(Self {
                process: process.to_owned(),
                local: members,
                children: Vec::new(),
            });
        }
        Self::divided(loaded, process, members)
    }

    fn divided(loaded: &Loaded, process: &str, members: Vec<MemberId>) -> Result<Self, Error> {
        let (isolated, local) = divide(loaded, members)?;
        let children = isolated.into_iter().map(|member| ChildPlacement {
            process: format!("{process}/{member}"),
            members: vec![member],
        });
        Ok(Self {
            process: process.to_owned(),
            local,
            children: children.collect(),
        })
    }

    /// Every member of this process and of its children.
    pub(crate) fn all(&self) -> impl Iterator<Item = MemberId> {
        let in_children = self.children.iter().flat_map(|child| &child.members);
        self.local.iter().chain(in_children).copied()
    }
}

/// The processes that share all members: the built-in parts and those of the configuration.
fn parts(loaded: &Loaded) -> Vec<String> {
    let mut parts: Vec<String> = ProcessKind::PARTS
        .iter()
        .map(|kind| kind.name().to_owned())
        .collect();
    let configured = loaded.processes();
    parts.extend(configured.filter(|name| ProcessKind::find(name).is_none()));
    parts
}

fn key_of(process: &str) -> String {
    format!("process.{process}.members")
}

/// The members of a process, as configured or by default.
fn members_of(loaded: &Loaded, process: &str) -> Result<Vec<MemberId>, Error> {
    let key = key_of(process);
    let listed = loaded.sourced(&key);
    let Some((patterns, source)) = listed.filter(|(patterns, _)| !patterns.trim().is_empty())
    else {
        return match ProcessKind::find(process) {
            Some(kind) => Ok(kind.members()),
            None => Err(unknown_process(loaded, process)),
        };
    };
    let patterns: Vec<&str> = patterns.split(',').map(str::trim).collect();
    let mut seen = BTreeSet::new();
    for pattern in &patterns {
        if !seen.insert(pattern) {
            return Err(Error(format!(
                "{key} ({source}): duplicate pattern {pattern}; remove one of them"
            )));
        }
        if !MemberId::all().any(|member| catalogue::matches(pattern, member.name())) {
            let hint = match nearest(pattern, MemberId::all().map(MemberId::name)) {
                Some(near) => format!("did you mean {near}?"),
                None => "`davy members` lists all members".to_owned(),
            };
            return Err(Error(format!(
                "{key} ({source}): unknown member {pattern}; {hint}"
            )));
        }
    }
    let is_listed = |member: &MemberId| {
        patterns
            .iter()
            .any(|pattern| catalogue::matches(pattern, member.name()))
    };
    Ok(MemberId::all().filter(is_listed).collect())
}

fn unknown_process(loaded: &Loaded, process: &str) -> Error {
    let mut known: Vec<String> = ProcessKind::all()
        .map(|kind| kind.name().to_owned())
        .collect();
    known.extend(loaded.processes());
    let hint = match nearest(process, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("define it in davy.toml: [process.{process}] members = [...]"),
    };
    Error(format!("unknown process {process}; {hint}"))
}

/// Rejects a configuration in which an enabled member is in no process.
fn check_coverage(loaded: &Loaded) -> Result<(), Error> {
    let parts = parts(loaded);
    let mut hosted = BTreeSet::new();
    for part in &parts {
        hosted.extend(members_of(loaded, part)?);
    }
    for member in MemberId::all() {
        let is_disabled = loaded.value(&format!("member.{member}.enabled")) == "false";
        if hosted.contains(&member) || is_disabled {
            continue;
        }
        let lists: Vec<String> = parts
            .iter()
            .filter_map(|part| {
                let (listed, source) = loaded.sourced(&key_of(part))?;
                (!listed.is_empty()).then(|| format!("{part} = {listed} ({source})"))
            })
            .collect();
        return Err(Error(format!(
            "member {member} is in no process: {}; add it to one of them, or disable it: [member.\"{member}\"] enabled = false",
            lists.join(", "),
        )));
    }
    Ok(())
}

/// Rejects flags and environment variables of members that other processes host. The file may have
/// them: it describes all processes.
fn check_owners(loaded: &Loaded, process: &str, members: &[MemberId]) -> Result<(), Error> {
    for (key, _, source) in loaded.iter() {
        let is_for_this_process = matches!(source, Source::Flag(_) | Source::Environment(_));
        let Some(setting) = find_setting(key).filter(|_| is_for_this_process) else {
            continue;
        };
        let owners = setting.members;
        if owners.is_empty() || owners.iter().any(|owner| members.contains(owner)) {
            continue;
        }
        let kinds: Vec<&str> = ProcessKind::all()
            .filter(|kind| kind.members().iter().any(|member| owners.contains(member)))
            .map(ProcessKind::name)
            .collect();
        let owners: Vec<&str> = owners.iter().map(|owner| owner.name()).collect();
        return Err(Error(format!(
            "{source} does not apply to {process}: {key} belongs to {} ({})",
            owners.join(", "),
            kinds.join(", "),
        )));
    }
    Ok(())
}

/// Divides members into isolated and local ones.
fn divide(
    loaded: &Loaded,
    members: Vec<MemberId>,
) -> Result<(Vec<MemberId>, Vec<MemberId>), Error> {
    let mut isolated = Vec::new();
    let mut local = Vec::new();
    for member in members {
        let key = format!("member.{member}.isolate");
        let is_isolated = loaded.parse(&key, "task or process", |value| match value {
            "task" | "" => Some(false),
            "process" => Some(true),
            _ => None,
        })?;
        if is_isolated {
            isolated.push(member);
        } else {
            local.push(member);
        }
    }
    Ok((isolated, local))
}
