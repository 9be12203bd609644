//! The bucket and the database, and their clocks.

use super::finding::{Finding, Findings};
use super::network::skew;
use crate::config::Config;
use crate::failure::Failure;
use crate::process::{open_archive_of, open_store};
use davy_archive::bucket::{Bucket, ReadError};
use davy_base::{Clock, Random, Timestamp};
use davy_profile::units;
use prometheus::Registry;
use std::path::Path;
use std::time::Duration;

/// Time limit of the checks of the bucket, and of those of the database.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The folder of probe objects. No tenant has this name, because a tenant's name never begins with a dot.
const FOLDER: &str = ".doctor";

pub(super) fn check(
    config: &Config,
    clock: &Clock,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::because("cannot start the runtime"))?;
    runtime.block_on(async {
        let checked = clock
            .timeout(TIMEOUT, bucket(config, clock, findings))
            .await;
        if checked.is_err() {
            findings.add(Finding::failed(
                "bucket",
                format!("{} did not respond for {TIMEOUT:?}", config.bucket.url),
            ));
        }
        let checked = clock
            .timeout(TIMEOUT, database(config, clock, findings))
            .await;
        if checked.is_err() {
            findings.add(Finding::failed(
                "database",
                format!("it did not respond for {TIMEOUT:?}"),
            ));
        }
    });
    Ok(())
}

async fn bucket(config: &Config, clock: &Clock, findings: &mut Findings) {
    const CHECK: &str = "bucket";
    let url = &config.bucket.url;
    if let Some(folder) = url.strip_prefix("file://")
        && !Path::new(folder).exists()
    {
        findings.add(Finding::skipped(
            CHECK,
            format!("the folder {folder} does not exist yet; Davy creates it"),
        ));
        return;
    }
    if url.starts_with("memory:") {
        findings.add(
            Finding::warning(
                CHECK,
                "bucket.url is memory:, so every profile is lost when the process stops",
            )
            .advise("set bucket.url to s3://BUCKET or another object store"),
        );
        return;
    }
    let mut config = config.clone();
    // The first failure is what the operator wants to see.
    config.bucket_requests.attempts = 1;
    config.cache_dir.clear();
    let archive = open_archive_of(&config, clock, Random::system(), &Registry::new());
    match archive {
        Ok(archive) => probe(archive.bucket(), url, clock, findings).await,
        Err(failure) => findings.add(Finding::failed(CHECK, failure.report())),
    }
}

/// Writes, reads, lists and deletes an object.
async fn probe(bucket: &Bucket, url: &str, clock: &Clock, findings: &mut Findings) {
    const CHECK: &str = "bucket";
    let folder = bucket.keys.root().join(FOLDER);
    let name = format!("{:032x}", Random::system().next_u128());
    let key = folder.clone().join(name.as_str());
    let text = format!("davy doctor {name}");
    let began = clock.monotonic();
    let before = clock.now();
    if let Err(error) = bucket.put(&key, text.clone().into()).await {
        findings.add(
            Finding::failed(CHECK, error.to_string())
                .advise("check bucket.url, bucket.endpoint and the credentials, and that this machine can reach the object store"),
        );
        return;
    }
    let after = clock.now();
    let written = clock.monotonic().saturating_sub(began);
    let read = bucket.get_current(&key).await;
    let listed = bucket.list(&folder).await;
    let deleted = bucket.delete(&key).await;
    let failures = [
        match read {
            Ok(bytes) if bytes == text => None,
            Ok(_) => Some("the object that was read is not the one that was written".to_owned()),
            Err(ReadError::Gone) => {
                Some("the object that was just written was not found".to_owned())
            }
            Err(ReadError::Failed(error)) => Some(error.to_string()),
        },
        listed.as_ref().err().map(ToString::to_string),
        deleted.err().map(|error| error.to_string()),
    ];
    let mut is_ok = true;
    for failure in failures.into_iter().flatten() {
        is_ok = false;
        findings.add(
            Finding::failed(CHECK, failure)
                .advise("Davy needs permission to put, get, list and delete objects"),
        );
    }
    let found = listed.unwrap_or_default();
    let found = found.iter().find(|object| object.location == key);
    match found {
        Some(object) => {
            let at = Timestamp::from_millis(object.last_modified.timestamp_millis());
            findings.add(skew(
                "the bucket",
                at.floor(Duration::from_secs(1)),
                before,
                after,
            ));
        }
        None if is_ok => findings.add(Finding::warning(
            CHECK,
            "an object that was just written is not listed yet; Davy works with late listings",
        )),
        None => {}
    }
    if is_ok {
        let written = units::duration(written);
        findings.add(Finding::ok(
            CHECK,
            format!("{url}: put, get, list and delete work; a put took {written}"),
        ));
    }
}

async fn database(config: &Config, clock: &Clock, findings: &mut Findings) {
    const CHECK: &str = "database";
    let url = &config.database;
    let file = url
        .strip_prefix("sqlite:")
        .map(|path| path.trim_start_matches("//"));
    if let Some(file) = file
        && !Path::new(file).exists()
    {
        findings.add(Finding::skipped(
            CHECK,
            format!("the file {file} does not exist yet; Davy creates it"),
        ));
        return;
    }
    let shown = davy_store::without_password(url);
    let advice =
        "check the URL, the password and pg_hba.conf; `davy migrate` creates missing tables";
    let store = match open_store(config, 1, clock) {
        Ok(store) => store,
        Err(failure) => {
            findings.add(Finding::failed(CHECK, failure.report()));
            return;
        }
    };
    let began = clock.monotonic();
    match store.ping().await {
        Ok(()) => {
            let took = units::duration(clock.monotonic().saturating_sub(began));
            findings.add(Finding::ok(CHECK, format!("{shown} responded in {took}")));
            let before = clock.now();
            let store = store.member("doctor", 1);
            if let Ok(theirs) = store.now().await {
                let whole = theirs.floor(Duration::from_secs(1));
                findings.add(skew("the database", whole, before, clock.now()));
            }
        }
        Err(error) => findings.add(Finding::failed(CHECK, error.to_string()).advise(advice)),
    }
    store.close().await;
}
