//! Destinations of a recording. They are checked before it starts, so that no recording is lost.

use super::options::RecordCommandOptions;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::{Format, cannot_write};
use crate::stdout::print;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, gzip, pprof};
use davy_record::Recording;
use std::fs;
use std::path::{Path, PathBuf};

/// Checks that the output can be written. Returns its format, or `None` if the profile is only pushed.
pub(super) fn check(options: &RecordCommandOptions) -> Result<Option<Format>, Failure> {
    let output = &options.output;
    if options.push && output.file().is_none() {
        if output.has_format() {
            return Err(Failure::usage(
                "--format needs an output file with --push, which always pushes pprof; pass -o FILE",
            ));
        }
        check_server(options)?;
        return Ok(None);
    }
    let format = output.format()?;
    if let Some(path) = output.file() {
        check_file(path).map_err(|error| cannot_write(path, error))?;
    }
    if options.push {
        check_server(options)?;
    }
    Ok(Some(format))
}

/// Checks that the server is reachable.
fn check_server(options: &RecordCommandOptions) -> Result<(), Failure> {
    Client::new(&options.server)?.get("/livez", &[]).map(drop)
}

fn check_file(path: &Path) -> std::io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(std::io::ErrorKind::IsADirectory.into()),
        Ok(found) if found.is_file() => fs::OpenOptions::new().append(true).open(path).map(drop),
        // A pipe or a device is opened only to write the profile.
        Ok(_) => Ok(()),
        Err(_) => {
            fs::File::create_new(path)?;
            fs::remove_file(path)
        }
    }
}

/// Writes or prints the profile, and pushes it.
pub(super) fn deliver(
    recording: &Recording,
    pushed_name: &str,
    format: Option<Format>,
    options: &RecordCommandOptions,
) -> Result<(), Failure> {
    let packed = || gzip::compress(&pprof::encode(&recording.profile));
    if let Some(format) = format {
        let mut tree = FlameTree::new();
        // Column 0 is the number of samples, column 1 the CPU time.
        tree.add_profile(&recording.profile, 1, Grain::Function);
        let output = &options.output;
        output.write(&output.render(format, &tree, (pushed_name, "nanoseconds"), packed)?)?;
    }
    if options.push {
        push(&packed(), pushed_name, options)?;
    }
    Ok(())
}

/// Pushes the profile to the archive. If that fails, writes it to a file.
fn push(packed: &[u8], name: &str, options: &RecordCommandOptions) -> Result<(), Failure> {
    let query = [("name", name.to_owned()), ("format", "pprof".to_owned())];
    let client = Client::new(&options.server)?;
    let pushed = client.post("/ingest", &query, "application/octet-stream", packed);
    let Err(failure) = pushed else {
        return print(&format!("pushed as {name}\n"));
    };
    let file = PathBuf::from(format!("davy-{}.pb.gz", std::process::id()));
    let failure = failure.report();
    fs::write(&file, packed).map_err(Failure::because(format!(
        "{failure}; cannot write the profile to {} either",
        file.display()
    )))?;
    Err(Failure::failed(format!(
        "{failure}; the profile is in {0}; push it with `davy push {0} {1}`",
        file.display(),
        options.push_arguments()
    )))
}
