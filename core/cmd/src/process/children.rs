//! The processes that this one starts: their commands, and the way to them.

use super::Plan;
use super::sockets::SocketFolder;
use crate::catalogue;
use crate::cli::Failure;
use crate::placement::Child;
use davy_runtime::Member;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use ulid::Ulid;

/// A child and the socket that requests for its members are sent to.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) child: Child,
    pub(crate) socket: PathBuf,
    /// The name of the member that keeps it.
    pub(crate) member: String,
}

/// Where each child of this process is going to be.
pub(crate) fn place(plan: &Plan, id: Ulid) -> Result<(Vec<Placed>, Option<SocketFolder>), Failure> {
    if plan.placement.children.is_empty() {
        return Ok((Vec::new(), None));
    }
    let folder = SocketFolder::new(id)?;
    let children = plan.placement.children.iter().enumerate();
    let placed = children.map(|(index, child)| Placed {
        child: child.clone(),
        socket: folder.socket(index),
        member: format!("process.{}", child.process),
    });
    Ok((placed.collect(), Some(folder)))
}

/// The members that keep the children. Those that take windows start first and stop last: the others
/// push to them.
pub(crate) fn members(
    plan: &Plan,
    id: Ulid,
    placed: &[Placed],
    archive_at: Option<SocketAddr>,
    doors: &[String],
) -> Result<Vec<Member>, Failure> {
    let program = std::env::current_exe().map_err(|error| {
        Failure::Failed(format!("this program's own file can't be found: {error}"))
    })?;
    let takes_windows = |p: &Placed| p.child.members.iter().any(|m| m == "archive.ingest");
    let first: Vec<String> = placed
        .iter()
        .filter(|p| takes_windows(p))
        .map(|p| p.member.clone())
        .collect();
    let archive = match (&plan.parent, archive_at) {
        (Some(parent), _) => parent.archive.clone(),
        (None, Some(at)) => format!("http://{at}"),
        (None, None) => String::new(),
    };
    let members = placed.iter().map(|placed| {
        let arguments = arguments(plan, id, placed, &archive);
        let program = program.clone();
        let member = Member::child(&placed.member, move || command(&program, &arguments));
        let member = member.after(doors.to_vec());
        if takes_windows(placed) {
            member
        } else {
            member.after(first.clone())
        }
    });
    Ok(members.collect())
}

fn arguments(plan: &Plan, id: Ulid, placed: &Placed, archive: &str) -> Vec<String> {
    let mut arguments = vec![
        "child".to_owned(),
        format!("--child-process={}", placed.child.process),
        format!("--child-members={}", placed.child.members.join(",")),
        format!("--child-socket={}", placed.socket.display()),
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

/// The child that answers for a member, behind a door.
pub(crate) fn of_member<'a>(
    placed: &'a [Placed],
    door: catalogue::Door,
    member: &str,
) -> Option<&'a Placed> {
    let mut hosts: Vec<&Placed> = placed
        .iter()
        .filter(|p| p.child.members.iter().any(|m| m == member))
        .collect();
    // Where several host it, the one that has this door at home.
    hosts.sort_by_key(|host| {
        let opens =
            |name: &String| catalogue::find(name).is_some_and(|entry| entry.opens == Some(door));
        !host.child.members.iter().any(opens)
    });
    hosts.first().copied()
}
