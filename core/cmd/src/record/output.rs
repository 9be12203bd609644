//! Where a recording goes: looked at before it begins, so that none is made in vain.

use super::Options;
use crate::cli::{Failure, print};
use crate::client::Client;
use crate::form::{Format, cannot_write};
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, gzip, pprof};
use davy_record::Recording;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// What is going to be written, if it can be; nothing where it is only pushed.
pub(super) fn check(options: &Options) -> Result<Option<Format>, Failure> {
    let form = &options.form;
    if options.push && form.output().is_none() {
        if form.is_said() {
            return Err(Failure::Usage(
                "--push pushes pprof; --format is of a file, name one with -o".to_owned(),
            ));
        }
        reach(options)?;
        return Ok(None);
    }
    let format = form.format()?;
    if let Some(path) = form.output() {
        check_file(path).map_err(|error| cannot_write(path, &error))?;
    } else if options.pid.is_none() && !form.is_said() && !std::io::stdout().is_terminal() {
        // On a terminal one sees where the one ends and the other begins. What a command writes for
        // a file or a pipe is not to be spoilt.
        return Err(Failure::Usage(
            "the profile would mix with what the command writes to standard output; name a file with -o, --push, or say --format text to have it there"
                .to_owned(),
        ));
    }
    if options.push {
        reach(options)?;
    }
    Ok(Some(format))
}

/// Whether there is an archive to push to.
fn reach(options: &Options) -> Result<(), Failure> {
    Client::new(&options.server)?.get("/livez", &[]).map(drop)
}

fn check_file(path: &Path) -> std::io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
        Ok(found) if found.is_file() => fs::OpenOptions::new().append(true).open(path).map(drop),
        // A pipe or a device is opened once only, when there is something to write.
        Ok(_) => Ok(()),
        Err(_) => {
            fs::File::create_new(path)?;
            fs::remove_file(path)
        }
    }
}

/// Writes, pushes or prints it.
pub(super) fn deliver(
    recording: &Recording,
    service: &str,
    format: Option<Format>,
    options: &Options,
) -> Result<(), Failure> {
    let packed = || gzip::compress(&pprof::encode(&recording.profile));
    if let Some(format) = format {
        let mut tree = FlameTree::new();
        // The CPU time, which comes after the number of samples.
        tree.add_profile(&recording.profile, 1, Grain::Function);
        let form = &options.form;
        form.write(&form.drawn(format, &tree, (service, "nanoseconds"), packed)?)?;
    }
    if options.push {
        push(&packed(), service, options)?;
    }
    Ok(())
}

/// Into the archive. What it does not take is kept in a file.
fn push(packed: &[u8], service: &str, options: &Options) -> Result<(), Failure> {
    let query = [("name", service.to_owned()), ("format", "pprof".to_owned())];
    let client = Client::new(&options.server)?;
    let pushed = client.post("/ingest", &query, "application/octet-stream", packed);
    let Err(failure) = pushed else {
        return print(&format!("pushed as {service}\n"));
    };
    let kept = PathBuf::from(format!("davy-{}.pb.gz", std::process::id()));
    fs::write(&kept, packed).map_err(|error| {
        Failure::Failed(format!(
            "{failure}; nor can it be kept as {}: {error}",
            kept.display()
        ))
    })?;
    Err(Failure::Failed(format!(
        "{failure}; the profile is kept: davy push {} --service {service}",
        kept.display()
    )))
}
