//! Writes one block to the folder named on the command line, for inspection with other tools.

use davy_archive::ingest::{Format, Push, SampleTypes, WindowIdentity};
use davy_archive::key::Tenant;
use davy_archive::{Archive, ArchiveOptions};
use davy_base::Clock;
use davy_profile::{Profile, gzip, pprof};
use object_store::local::LocalFileSystem;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: block FOLDER")?;
    let clock = Clock::manual(Clock::system().now());
    let bucket = Arc::new(LocalFileSystem::new_with_prefix(folder)?);
    let options = ArchiveOptions {
        clock: clock.clone(),
        flush_interval: Duration::ZERO,
        ..ArchiveOptions::new(bucket)
    };
    let archive = Archive::new(options, &prometheus::Registry::new())?;
    let drain = CancellationToken::new();
    let flusher = tokio::spawn(archive.ingest().run(drain.clone()));
    while !archive.ingest().is_accepting() {
        tokio::task::yield_now().await;
    }
    for window in 0..3 {
        let mut profile = Profile::new();
        profile.add_sample_type("cpu", "nanoseconds");
        profile.period_type = profile.sample_types[0];
        profile.time_nanos = clock.now().nanos();
        let path = ["main", "work"].map(|name| profile.named_location(name));
        let stack = profile.stack(path);
        let labels = profile.text_labels(&[("member", "api")]);
        profile.add_sample(stack, labels, &[10_000_000 * (window + 1)]);
        let push = Push {
            labels: [
                ("service_name".into(), "web".into()),
                ("__name__".into(), "process_cpu".into()),
            ]
            .into(),
            identity: WindowIdentity::Client(window.to_string()),
            span: None,
            format: Format::Pprof(SampleTypes::default()),
            body: gzip::compress(&pprof::encode(&profile)).into(),
        };
        archive
            .ingest()
            .push(&Tenant::anonymous(), vec![(String::new(), push)])
            .await?;
    }
    drain.cancel();
    flusher.await?;
    clock.advance(Duration::from_hours(2));
    println!("{:?}", archive.compactor().once().await?);
    Ok(())
}
