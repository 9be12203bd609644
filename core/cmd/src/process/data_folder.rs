//! The data folder and its locks. Two processes that host the same member must not share a data folder:
//! they would share the spool and, with the default settings, each other's database and bucket.

use super::plan::Plan;
use crate::catalogue::MemberId;
use crate::failure::Failure;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Locks on the members that a process hosts in a data folder. Released on drop and when the process is
/// killed.
#[derive(Debug)]
pub(super) struct DataFolderLocks {
    _files: Vec<File>,
}

/// Creates the data folder and locks it for the members of this process and of its children.
pub(super) fn lock(plan: &Plan) -> Result<Option<DataFolderLocks>, Failure> {
    let folder = &plan.config.data_dir;
    create(folder)?;
    // The parent holds the locks for its children.
    if plan.parent.is_some() {
        return Ok(None);
    }
    lock_members(folder, &plan.placement.process, plan.placement.all()).map(Some)
}

fn create(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder.join("locks")).map_err(|error| {
        Failure::invalid(format!(
            "cannot create the data folder {}",
            folder.display()
        ))(error)
        .with_hint("pass another one with --data-dir")
    })
}

fn lock_members(
    folder: &Path,
    process: &str,
    members: impl Iterator<Item = MemberId>,
) -> Result<DataFolderLocks, Failure> {
    let mut files = Vec::new();
    for member in members.filter(|member| is_exclusive(*member)) {
        let path = folder.join("locks").join(member.name());
        let failed = || Failure::because(format!("cannot lock {}", path.display()));
        let mut file = open(&path).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(folder, member, file)),
            // On a file system without locks, nothing prevents a second process.
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, path = %path.display(), "cannot lock the data folder");
                continue;
            }
        }
        let owner = format!("{} {process}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all(owner.as_bytes()))
            .map_err(failed())?;
        files.push(file);
    }
    Ok(DataFolderLocks { _files: files })
}

/// Whether only one process may host the member on a data folder. Queries only read the archive, so a
/// frontend and an archiver may share a folder.
const fn is_exclusive(member: MemberId) -> bool {
    match member {
        MemberId::ArchiveQuery => false,
        MemberId::Api
        | MemberId::Ui
        | MemberId::Gateway
        | MemberId::ArchiveIngest
        | MemberId::ArchiveCompactor
        | MemberId::ArchiveRenderer
        | MemberId::ArchiveArclamp
        | MemberId::ArchiveScraper
        | MemberId::ArchiveRules
        | MemberId::GcProcesses
        | MemberId::GcAudit
        | MemberId::GcBuilds
        | MemberId::GcContainers
        | MemberId::GcVolumes
        | MemberId::GcWorkers => true,
    }
}

fn open(path: &PathBuf) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// The failure that names the process which holds a lock.
fn in_use(folder: &Path, member: MemberId, mut file: File) -> Failure {
    let mut owner = String::new();
    let _ = file.rewind().and_then(|()| file.read_to_string(&mut owner));
    let owner = match owner.trim().split_once(' ') {
        Some((pid, process)) => format!("process {pid} ({process})"),
        // The owner has locked the file but not written its pid yet.
        None => "another process".to_owned(),
    };
    Failure::usage(format!(
        "the data folder {} is in use: {owner} hosts member {member} on it",
        folder.display()
    ))
    .with_hint("stop that process, or pass another folder with --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::ProcessKind;

    fn lock(folder: &Path, kind: ProcessKind) -> Result<DataFolderLocks, Failure> {
        create(folder)?;
        lock_members(folder, kind.name(), kind.members().into_iter())
    }

    #[test]
    fn second_process_with_the_same_member_is_refused_and_names_the_pid() {
        let folder = tempfile::tempdir().expect("create a temporary folder");
        let first = lock(folder.path(), ProcessKind::Quickstart).expect("lock a new folder");
        let error = lock(folder.path(), ProcessKind::Frontend).expect_err("api is hosted twice");
        let owner = format!("process {} (quickstart)", std::process::id());
        let report = error.report();
        assert!(report.contains(&owner), "{report}");
        assert!(report.contains("--data-dir"), "{report}");
        drop(first);
        lock(folder.path(), ProcessKind::Frontend).expect("lock a released folder");
    }

    #[test]
    fn processes_of_a_split_share_a_data_folder() {
        let folder = tempfile::tempdir().expect("create a temporary folder");
        let locks: Vec<_> = ProcessKind::PARTS
            .into_iter()
            .map(|kind| lock(folder.path(), kind).expect("parts host different members"))
            .collect();
        assert_eq!(locks.len(), 3);
    }
}
