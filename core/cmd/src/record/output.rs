//! Where a recording goes: looked at before it begins, so that none is made in vain.

use super::Options;
use crate::cli::{Failure, print, print_bytes};
use crate::client::Client;
use crate::query::text;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, folded, gzip, pprof};
use davy_record::Recording;
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Whether what the options name can be written to.
pub(super) fn check(options: &Options) -> Result<(), Failure> {
    if let Some(path) = &options.output {
        check_file(path).map_err(|error| cannot_write(path, &error))?;
    }
    if options.push {
        Client::new(&options.server)?.get("/livez", &[])?;
    }
    let to_stdout = options.output.is_none() && !options.push;
    if to_stdout && options.pid.is_none() && !std::io::stdout().is_terminal() {
        return Err(Failure::Usage(
            "the profile would mix with what the command writes to standard output; name a file with -o, or --push"
                .to_owned(),
        ));
    }
    Ok(())
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

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("can't write to {}: {error}", path.display()))
}

/// Writes, pushes or prints it.
pub(super) fn deliver(
    recording: &Recording,
    service: &str,
    options: &Options,
) -> Result<(), Failure> {
    let packed = || gzip::compress(&pprof::encode(&recording.profile));
    let mut tree = FlameTree::new();
    // The CPU time, which comes after the number of samples.
    tree.add_profile(&recording.profile, 1, Grain::Function);
    if let Some(path) = &options.output {
        let bytes = match path.extension().and_then(|e| e.to_str()) {
            Some("svg") => davy_archive::query::svg::svg(&tree, service, "ns")
                .map_err(|error| Failure::Failed(error.to_string()))?,
            Some("folded") => folded::encode(&tree).into_bytes(),
            _ => packed(),
        };
        fs::write(path, bytes).map_err(|error| cannot_write(path, &error))?;
    }
    if options.push {
        push(&packed(), service, options)?;
    }
    if options.push || options.output.is_some() {
        return Ok(());
    }
    if std::io::stdout().is_terminal() {
        return print(&text::of_tree(&tree, "nanoseconds", options.max_nodes));
    }
    print_bytes(&packed())
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
