//! The child processes of this process: their commands and sockets.

use super::member_settings;
use super::plan::Plan;
use super::sockets::SocketFolder;
use crate::catalogue::{MemberId, PublicListener};
use crate::failure::Failure;
use crate::http::ChildClient;
use crate::placement::ChildPlacement;
use davy_base::Clock;
use davy_cgroup::{Hierarchy, Limits};
use davy_runtime::{ChildCgroup, Member};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use ulid::Ulid;

/// A child process and the socket to which requests for its members are forwarded.
#[derive(Clone, Debug)]
pub(super) struct PlacedChild {
    pub(super) placement: ChildPlacement,
    pub(super) socket: PathBuf,
    /// Name of the member that supervises it.
    pub(super) member: String,
}

/// Assigns a socket to each child of this process.
pub(super) fn place(
    plan: &Plan,
    id: Ulid,
) -> Result<(Vec<PlacedChild>, Option<SocketFolder>), Failure> {
    if plan.placement.children.is_empty() {
        return Ok((Vec::new(), None));
    }
    let folder = SocketFolder::new(id)?;
    let children = plan.placement.children.iter().enumerate();
    let placed = children.map(|(index, child)| PlacedChild {
        placement: child.clone(),
        socket: folder.socket(index),
        member: format!("process.{}", child.process),
    });
    Ok((placed.collect(), Some(folder)))
}

/// A client of each child, by process name.
pub(super) fn clients(children: &[PlacedChild], clock: &Clock) -> BTreeMap<String, ChildClient> {
    let clients = children.iter().map(|child| {
        let process = &child.placement.process;
        let client = ChildClient::new(process, child.socket.clone(), clock.clone());
        (process.clone(), client)
    });
    clients.collect()
}

/// The members that supervise the children. Children that ingest start first and stop last, because the
/// rest push their windows to them.
pub(super) fn members(
    plan: &Plan,
    id: Ulid,
    children: &[PlacedChild],
    cgroups: Option<&Result<Hierarchy, String>>,
    archive_at: Option<SocketAddr>,
    listeners: &[String],
) -> Result<Vec<Member>, Failure> {
    let program = std::env::current_exe().map_err(Failure::because(
        "cannot find the executable of this process",
    ))?;
    let ingests = |child: &PlacedChild| child.placement.members.contains(&MemberId::ArchiveIngest);
    let ingesting: Vec<String> = children
        .iter()
        .filter(|child| ingests(child))
        .map(|child| child.member.clone())
        .collect();
    let archive = match (&plan.parent, archive_at) {
        (Some(parent), _) => parent.archive.clone(),
        (None, Some(at)) => format!("http://{at}"),
        (None, None) => String::new(),
    };
    let mut members = Vec::new();
    for child in children {
        let arguments = arguments(plan, id, child, &archive);
        let program = program.clone();
        let cgroup = match cgroups {
            Some(cgroups) => {
                let limits = limits(plan, child)?;
                let name = cgroup_name(child, children);
                Some(ChildCgroup::new(cgroups.clone(), &name, limits))
            }
            None => None,
        };
        let command = move || command(&program, &arguments);
        let mut member = Member::child_in(&child.member, cgroup, command);
        member = member.after(listeners.to_vec());
        if !ingests(child) {
            member = member.after(ingesting.clone());
        }
        members.push(member);
    }
    Ok(members)
}

/// The cgroups of the children, below that of this process, or why there are none. `None` without children.
pub(super) fn cgroups(children: &[PlacedChild]) -> Option<Result<Hierarchy, String>> {
    if children.is_empty() {
        return None;
    }
    match Hierarchy::open_exclusive("davy") {
        Ok(cgroups) => {
            let missing = cgroups.missing();
            if !missing.is_empty() {
                tracing::warn!(
                    ?missing,
                    "controllers of cgroups are missing; what they limit is not limited"
                );
            }
            Some(Ok(cgroups))
        }
        Err(error) => {
            tracing::warn!(%error, "child processes are neither limited nor counted by cgroups");
            Some(Err(error.to_string()))
        }
    }
}

/// The limits of a child that isolates one member; none for others.
fn limits(plan: &Plan, child: &PlacedChild) -> Result<Limits, Failure> {
    match child.placement.members.as_slice() {
        [member] => Ok(member_settings::limits(&plan.loaded, *member)?),
        _ => Ok(Limits::default()),
    }
}

/// The longest name that the kernel and its tools show well.
const CGROUP_NAME_BYTES_MAX: usize = 128;

/// The members of a child, or the name of its process if that would be too long or is that of another child.
fn cgroup_name(child: &PlacedChild, children: &[PlacedChild]) -> String {
    let members = |child: &PlacedChild| {
        let names = child.placement.members.iter().map(|member| member.name());
        names.collect::<Vec<_>>().join("+")
    };
    let name = members(child);
    let same = children
        .iter()
        .filter(|other| members(other) == name)
        .count();
    if same == 1 && (1..=CGROUP_NAME_BYTES_MAX).contains(&name.len()) {
        return name;
    }
    child.placement.process.replace('/', "-")
}

fn arguments(plan: &Plan, id: Ulid, child: &PlacedChild, archive: &str) -> Vec<String> {
    let members: Vec<&str> = child
        .placement
        .members
        .iter()
        .map(|member| member.name())
        .collect();
    let mut arguments = vec![
        "child".to_owned(),
        format!("--child-process={}", child.placement.process),
        format!("--child-members={}", members.join(",")),
        format!("--child-socket={}", child.socket.display()),
        format!("--child-of={id}"),
        format!("--child-archive={archive}"),
    ];
    arguments.extend(plan.flags.to_arguments());
    arguments
}

fn command(program: &Path, arguments: &[String]) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    command
}

/// The child that serves a member's requests from a listener.
pub(super) fn host_of(
    children: &[PlacedChild],
    listener: PublicListener,
    member: MemberId,
) -> Option<&PlacedChild> {
    let mut hosts: Vec<&PlacedChild> = children
        .iter()
        .filter(|child| child.placement.members.contains(&member))
        .collect();
    // If several children host it, prefer the one whose members open this listener by default.
    hosts.sort_by_key(|host| {
        let opens = |member: &MemberId| member.spec().opens == Some(listener);
        !host.placement.members.iter().any(opens)
    });
    hosts.first().copied()
}
