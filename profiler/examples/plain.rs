//! A service without a framework: `cargo run --example plain -- http://127.0.0.1:4040`

use davy_tag::Tag;
use std::hint::black_box;
use std::time::Duration;

davy_profiler::use_jemalloc!();

fn main() -> Result<(), davy_profiler::Error> {
    let mut builder = davy_profiler::Builder::new("plain").label("version", "1");
    if let Some(archiver) = std::env::args().nth(1) {
        builder = builder.archiver(archiver);
    }
    let profiler = builder.start()?;
    let handle = profiler.handle();

    let work = std::thread::spawn(|| {
        let _guard = Tag::new("sums", "even").enter();
        (0..2_000_000_000u64)
            .filter(|n| black_box(*n) % 2 == 0)
            .sum::<u64>()
    });
    let profile = handle.cpu_profile(Duration::from_secs(1), &davy_profiler::Filter::default())?;
    println!("{} stacks in the last second", profile.sample_count());
    println!("the sum is {}", work.join().unwrap_or_default());
    println!("{:#?}", handle.stats());
    profiler.shutdown(Duration::from_secs(5))
}
