//! The child processes of this process: their commands and sockets.

use super::plan::Plan;
use super::sockets::SocketFolder;
use crate::catalogue::{MemberId, PublicListener};
use crate::failure::Failure;
use crate::http::ChildClient;
use crate::placement::ChildPlacement;
use davy_base::Clock;
use davy_runtime::Member;
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
    let members = children.iter().map(|child| {
        let arguments = arguments(plan, id, child, &archive);
        let program = program.clone();
        let member = Member::child(&child.member, move || command(&program, &arguments));
        let member = member.after(listeners.to_vec());
        if ingests(child) {
            member
        } else {
            member.after(ingesting.clone())
        }
    });
    Ok(members.collect())
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
