//! Which members a process hosts, and which of those in a unix process of their own.

use crate::catalogue::{self, Kind, MEMBERS};
use crate::config::{Error, Loaded, Setting, Source};
use davy_control::nearest;
use std::collections::BTreeSet;

/// What a process hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The process's name: a kind, or what `[process.NAME]` says.
    pub(crate) process: String,
    /// Members that run in it, by name.
    pub(crate) here: Vec<String>,
    /// The processes that it starts.
    pub(crate) children: Vec<Child>,
}

/// A unix process that another one starts and keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) process: String,
    pub(crate) members: Vec<String>,
    /// Whether the configuration isolated one member, rather than the command all kinds.
    pub(crate) isolated: bool,
}

impl Placement {
    /// Of `davy KIND` and `davy run NAME`.
    pub(crate) fn of_process(loaded: &Loaded, process: &str) -> Result<Self, Error> {
        check_coverage(loaded)?;
        let members = members_of(loaded, process)?;
        check_own(loaded, process, &members)?;
        Self::divided(loaded, process, members)
    }

    /// Of `davy quickstart --split`: nothing here, every process a child.
    pub(crate) fn split(loaded: &Loaded) -> Result<Self, Error> {
        check_coverage(loaded)?;
        let children = parts(loaded).into_iter().map(|process| {
            let members = members_of(loaded, &process)?;
            // The child divides them again; what it would refuse is refused here.
            divide(loaded, members.clone())?;
            Ok(Child {
                process,
                members,
                isolated: false,
            })
        });
        Ok(Self {
            process: Kind::Quickstart.name().to_owned(),
            here: Vec::new(),
            children: children.collect::<Result<_, Error>>()?,
        })
    }

    /// Of a child: the members that it was told, those isolated that are not alone.
    pub(crate) fn of_child(
        loaded: &Loaded,
        process: &str,
        members: Vec<String>,
    ) -> Result<Self, Error> {
        if members.len() == 1 {
            return Ok(Self {
                process: process.to_owned(),
                here: members,
                children: Vec::new(),
            });
        }
        Self::divided(loaded, process, members)
    }

    fn divided(loaded: &Loaded, process: &str, members: Vec<String>) -> Result<Self, Error> {
        let (isolated, here) = divide(loaded, members)?;
        let children = isolated.into_iter().map(|member| Child {
            process: format!("{process}/{member}"),
            members: vec![member],
            isolated: true,
        });
        Ok(Self {
            process: process.to_owned(),
            here,
            children: children.collect(),
        })
    }

    /// Every member of this process and of its children.
    pub(crate) fn all(&self) -> impl Iterator<Item = &str> {
        let theirs = self.children.iter().flat_map(|child| &child.members);
        self.here.iter().chain(theirs).map(String::as_str)
    }
}

/// The processes that share all members: the built-in ones, and those of the configuration.
fn parts(loaded: &Loaded) -> Vec<String> {
    let mut parts: Vec<String> = Kind::PARTS
        .iter()
        .map(|kind| kind.name().to_owned())
        .collect();
    parts.extend(loaded.processes().filter(|name| Kind::find(name).is_none()));
    parts
}

fn key_of(process: &str) -> String {
    format!("process.{process}.members")
}

/// The members of a process, as the configuration lists them or as its kind has them.
fn members_of(loaded: &Loaded, process: &str) -> Result<Vec<String>, Error> {
    let key = key_of(process);
    let listed = loaded.sourced(&key);
    let Some((patterns, source)) = listed.filter(|(patterns, _)| !patterns.trim().is_empty())
    else {
        let Some(kind) = Kind::find(process) else {
            return Err(no_such_process(loaded, process));
        };
        return Ok(kind.members().into_iter().map(str::to_owned).collect());
    };
    let patterns: Vec<&str> = patterns.split(',').map(str::trim).collect();
    let mut seen = BTreeSet::new();
    for pattern in &patterns {
        if !seen.insert(pattern) {
            return Err(Error(format!("{key} ({source}) lists {pattern} twice")));
        }
        if !MEMBERS
            .iter()
            .any(|entry| catalogue::matches(pattern, entry.name))
        {
            let near = nearest(pattern, MEMBERS.iter().map(|entry| entry.name));
            let hint = near.map_or_else(
                || "`davy members` lists all".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            return Err(Error(format!(
                "{key} ({source}): there is no member {pattern}; {hint}"
            )));
        }
    }
    let matched = MEMBERS
        .iter()
        .filter(|entry| patterns.iter().any(|p| catalogue::matches(p, entry.name)));
    Ok(matched.map(|entry| entry.name.to_owned()).collect())
}

fn no_such_process(loaded: &Loaded, process: &str) -> Error {
    let mut known: Vec<String> = Kind::ALL
        .iter()
        .map(|kind| kind.name().to_owned())
        .collect();
    known.extend(loaded.processes());
    let hint = match nearest(process, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("write [process.{process}] members = [...] into davy.toml"),
    };
    Error(format!("there is no process {process}; {hint}"))
}

/// Refuses a configuration that leaves a member without a process.
fn check_coverage(loaded: &Loaded) -> Result<(), Error> {
    let parts = parts(loaded);
    let mut hosted = BTreeSet::new();
    for part in &parts {
        hosted.extend(members_of(loaded, part)?);
    }
    for entry in MEMBERS {
        let is_off = loaded.value(&format!("member.{}.enabled", entry.name)) == "false";
        if hosted.contains(entry.name) || is_off {
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
            "member {0} is in no process: {1}; add it to one of them, or toggle it off with [member.\"{0}\"] enabled = false",
            entry.name,
            lists.join(", "),
        )));
    }
    Ok(())
}

/// Refuses flags and variables that are for members of other processes. The file may hold them: it
/// describes all processes.
fn check_own(loaded: &Loaded, process: &str, members: &[String]) -> Result<(), Error> {
    for (key, _, source) in loaded.iter() {
        let said_here = matches!(source, Source::Flag(_) | Source::Environment(_));
        let Some(setting) = Setting::find(key).filter(|_| said_here) else {
            continue;
        };
        let mut owners = setting
            .members
            .iter()
            .filter(|owner| !owner.is_empty())
            .peekable();
        if owners.peek().is_none() || owners.any(|owner| members.iter().any(|m| m == owner)) {
            continue;
        }
        let kinds: Vec<&str> = Kind::ALL
            .iter()
            .filter(|kind| setting.members.iter().any(|m| kind.members().contains(m)))
            .map(|kind| kind.name())
            .collect();
        return Err(Error(format!(
            "{source} is not for {process}: {key} belongs to {} ({})",
            setting.members.join(", "),
            kinds.join(", "),
        )));
    }
    Ok(())
}

/// The members that the configuration isolates, and the others.
fn divide(loaded: &Loaded, members: Vec<String>) -> Result<(Vec<String>, Vec<String>), Error> {
    let mut isolated = Vec::new();
    let mut here = Vec::new();
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
            here.push(member);
        }
    }
    Ok((isolated, here))
}
