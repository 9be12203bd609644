//! `davy archive export` and `davy archive import`: copies an archive to and from another bucket or a tar file.

use super::options::ArchiveOptions;
use super::output::{bar, failed};
use crate::bucket;
use crate::config::{Config, Flags, Loaded};
use crate::failure::Failure;
use crate::process::with_archive;
use crate::stderr::print_line;
use crate::stdout::print;
use davy_archive::copy::{CopyOptions, CopyReport, CopySource, CopyTarget};
use davy_archive::key::Tenant;
use davy_base::{Clock, Timestamp};
use davy_bucket::{BucketSettings, BucketUrl, OpenBucket, Scheme};
use davy_profile::units;
use std::io::{IsTerminal as _, stdin, stdout};
use std::path::{Path, PathBuf};

/// Options of a copy.
#[derive(Debug, clap::Args)]
pub(crate) struct CopyArguments {
    /// Copy the days from this time on only, for example now-30d or 2026-11-01T00:00:00Z. Symbols are always copied
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    from: Option<String>,
    /// Copy the days before this time only
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Copy this tenant only
    #[arg(long, value_name = "TENANT")]
    pub(super) tenant: Option<String>,
    /// Say what would be copied, and copy nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Configuration file whose bucket.* settings apply to the other bucket, except bucket.url. Without it, they are
    /// those of the archive if both are of the same kind, or come from the environment
    #[arg(long, value_name = "FILE")]
    other_config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) options: ArchiveOptions,
}

/// The other end of a copy.
enum Other {
    /// Standard input or output.
    Stream,
    /// A tar file.
    File(PathBuf),
    /// A bucket.
    Bucket(OpenBucket),
}

impl CopyArguments {
    fn copy_options(&self) -> Result<CopyOptions, Failure> {
        let now = Clock::system().now();
        let time = |text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
            let time = text
                .as_ref()
                .map(|text| davy_archive::time::parse(text, now));
            time.transpose()
                .map_err(|error| Failure::usage(error.to_string()))
        };
        let tenant = self.tenant.as_ref().map(|name| {
            Tenant::new(name).ok_or_else(|| {
                let text = "invalid --tenant: expected a name of 1 to 128 bytes";
                Failure::usage(text)
            })
        });
        let mut options = CopyOptions {
            tenant: tenant.transpose()?,
            is_dry_run: self.dry_run,
            ..CopyOptions::default()
        };
        options.within(time(&self.from)?, time(&self.until)?);
        Ok(options)
    }

    /// Settings of the other bucket.
    fn settings(&self, url: &str, config: &Config) -> Result<BucketSettings, Failure> {
        let other = BucketUrl::parse(url).map_err(|error| Failure::usage(error.to_string()))?;
        if let Some(file) = &self.other_config {
            let flags = Flags {
                file: Some(file.clone()),
                values: [("bucket.url", url.to_owned())].into(),
            };
            let loaded = Loaded::read(&flags, std::iter::empty())?;
            return Ok(Config::new(&loaded)?.bucket);
        }
        let own = BucketUrl::parse(&config.bucket.url);
        if own.is_ok_and(|own| own.scheme == other.scheme) {
            return Ok(BucketSettings {
                url: url.to_owned(),
                ..config.bucket.clone()
            });
        }
        Ok(BucketSettings::new(url))
    }

    fn other(&self, at: &str, config: &Config) -> Result<Other, Failure> {
        if at == "-" {
            return Ok(Other::Stream);
        }
        if !at.contains("://") {
            return Ok(Other::File(PathBuf::from(at)));
        }
        let settings = self.settings(at, config)?;
        let is_same = |other: &BucketUrl| {
            BucketUrl::parse(&config.bucket.url).is_ok_and(|own| own == *other)
                && settings.endpoint == config.bucket.endpoint
                && settings.auth_url == config.bucket.auth_url
        };
        if BucketUrl::parse(at).is_ok_and(|other| is_same(&other)) {
            return Err(Failure::usage(format!(
                "{at} is the bucket of the archive itself; name another one"
            )));
        }
        Ok(Other::Bucket(bucket::open(&settings, &Clock::system())?))
    }

    fn config(&self) -> Result<Config, Failure> {
        Ok(Config::new(&Loaded::from_environment(
            &self.options.flags,
        )?)?)
    }
}

/// Copies the archive to a bucket or a tar file.
pub(super) fn export(destination: &str, arguments: &CopyArguments) -> Result<(), Failure> {
    let config = arguments.config()?;
    let options = arguments.copy_options()?;
    let other = arguments.other(destination, &config)?;
    if matches!(other, Other::Stream) && stdout().is_terminal() {
        return Err(Failure::usage(
            "standard output is a terminal; redirect it, or name a file or a bucket",
        ));
    }
    let is_stream = matches!(other, Other::Stream);
    let report = with_archive(&arguments.options.flags, async |archive| {
        let target = match other {
            // A dry run writes nothing, and a tar file begins with an entry.
            Other::Stream | Other::File(_) if options.is_dry_run => {
                CopyTarget::stream(Box::new(std::io::sink()))
            }
            Other::Stream => CopyTarget::stream(Box::new(stdout())),
            Other::File(path) => CopyTarget::tar(&path),
            Other::Bucket(bucket) => Ok(CopyTarget::bucket(bucket, &config.bucket_requests)),
        };
        let what = "cannot export the archive";
        let target = target.map_err(failed(what))?;
        let bar = bar("exporting {wide_bar} {bytes}/{total_bytes}");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let report = archive.export(target, &options, &progress).await;
        bar.finish_and_clear();
        report.map_err(failed(what))
    })?;
    conclude(&report, arguments, is_stream)
}

/// Copies an archive from a bucket or a tar file.
pub(super) fn import(source: &str, arguments: &CopyArguments) -> Result<(), Failure> {
    if source == "arclamp" {
        return Err(Failure::usage(
            "name the folder of the logs: davy archive import arclamp FOLDER",
        ));
    }
    let config = arguments.config()?;
    let options = arguments.copy_options()?;
    if let Ok(url) = BucketUrl::parse(source)
        && url.scheme == Scheme::File
        && !Path::new(&url.name).is_dir()
    {
        return Err(Failure::usage(format!("{} is not a folder", url.name)));
    }
    let other = arguments.other(source, &config)?;
    let report = with_archive(&arguments.options.flags, async |archive| {
        let what = "cannot import an archive";
        let source = match other {
            Other::Stream => Ok(CopySource::stream(Box::new(stdin()))),
            Other::File(path) => CopySource::tar(&path),
            Other::Bucket(bucket) => Ok(CopySource::bucket(bucket, &config.bucket_requests)),
        };
        let source = source.map_err(failed(what))?;
        let bar = bar("importing {wide_bar} {bytes}/{total_bytes}");
        let progress = |done, total| {
            bar.set_length(total);
            bar.set_position(done);
        };
        let report = archive.import(source, &options, &progress).await;
        bar.finish_and_clear();
        report.map_err(failed(what))
    })?;
    conclude(&report, arguments, false)
}

/// Prints the result, on standard error if the tar is on standard output.
fn conclude(
    report: &CopyReport,
    arguments: &CopyArguments,
    is_stream: bool,
) -> Result<(), Failure> {
    let text = if arguments.options.json {
        serde_json::to_string_pretty(report).map_err(Failure::because("cannot write JSON"))?
    } else {
        summary(report, arguments.dry_run)
    };
    if is_stream {
        print_line(&text);
    } else {
        print(&format!("{text}\n"))?;
    }
    let damaged = report.damaged.iter();
    let faults: Vec<&String> = report.conflicts.iter().chain(damaged).collect();
    match faults.first() {
        None => Ok(()),
        Some(first) => {
            let count = units::count(faults.len(), "object", "objects");
            Err(Failure::failed(format!(
                "{count} damaged, or with other content; the first: {first}"
            )))
        }
    }
}

fn summary(report: &CopyReport, is_dry_run: bool) -> String {
    let amount = |of: davy_archive::copy::Amount| {
        let objects = units::count(of.objects as usize, "object", "objects");
        format!("{objects}, {}", units::bytes(of.bytes as f64))
    };
    let verb = if is_dry_run { "would copy" } else { "copied" };
    let (copied, skipped) = (amount(report.copied), amount(report.skipped));
    let mut text = String::new();
    for fault in report.conflicts.iter().chain(&report.damaged) {
        text.push_str(&format!("{fault}\n"));
    }
    text.push_str(&format!("{verb} {copied}; already there: {skipped}"));
    text
}
