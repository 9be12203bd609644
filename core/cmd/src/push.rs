//! `davy push`: pushes profiles from files to the archive.

mod file;
mod options;
mod upload;

pub(crate) use options::PushOptions;

use crate::client::Client;
use crate::failure::Failure;
use crate::stderr;
use crate::stdout::print;
use davy_profile::units::count;
use file::ProfileFile;

/// Reads every file, then pushes them concurrently.
pub(crate) fn run(options: &PushOptions) -> Result<(), Failure> {
    let client = Client::new(&options.server)?;
    let files: Vec<ProfileFile> = options
        .files
        .iter()
        .map(|file| ProfileFile::read(file, options))
        .collect::<Result<_, _>>()?;
    for warning in files.iter().filter_map(ProfileFile::warning) {
        stderr::print_line(format_args!("davy: {warning}"));
    }
    let results = upload::push_all(&client, &files);
    let mut first_failure = None;
    for (file, result) in files.iter().zip(results) {
        match result {
            Ok(()) => print(&format!(
                "{}: {} pushed as {}\n",
                file.path.display(),
                count(file.samples, "sample", "samples"),
                file.service
            ))?,
            Err(failure) if first_failure.is_none() => first_failure = Some(failure),
            // The first one becomes the error of the command.
            Err(failure) => stderr::print_line(format_args!("davy: {}", failure.report())),
        }
    }
    first_failure.map_or(Ok(()), Err)
}
