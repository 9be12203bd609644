//! A process that runs in short bursts. In a test binary of its own, because the rate depends on the CPU time of the
//! whole process.

mod archiver;
mod work;

use archiver::Archiver;
use davy_profiler::Builder;
use davy_tag::Tag;
use std::time::Duration;
use work::burn;

const OPERATIONS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const BURST: Duration = Duration::from_micros(300);
const ROUNDS: u32 = 160;

/// Six operations with a burst of 0.3 ms each, ten times a second.
#[test]
fn most_cpu_time_of_an_idle_process_has_a_stack() {
    let archiver = Archiver::start();
    let builder = Builder::new("idle").window(Duration::from_secs(1));
    let profiler = builder.archiver(archiver.url()).start();
    let profiler = profiler.expect("profiler started");
    let mut random = davy_base::Random::seeded(7);
    let tags = OPERATIONS.map(|op| Tag::new("idle", op));
    for _ in 0..ROUNDS {
        for tag in tags {
            // Not in step with the kernel's tick.
            std::thread::park_timeout(Duration::from_micros(10_000 + random.below(13_000)));
            let _guard = tag.enter();
            burn(BURST);
        }
    }
    let delivered = profiler.shutdown(Duration::from_secs(20));
    delivered.expect("everything is delivered");
    let (mut all, mut without) = (0, 0);
    for push in archiver.all() {
        let profile = &push.profile;
        if push.label("__name__") != "process_cpu" {
            continue;
        }
        for sample in 0..profile.sample_count() {
            if work::label(profile, sample, "member") == "idle" {
                let value = profile.values(sample)[0];
                all += value;
                if work::stack(profile, sample).is_empty() {
                    without += value;
                }
            }
        }
    }
    let share = without as f64 / all as f64;
    println!(
        "{:.1} % of {:.0} ms have no stack",
        share * 100.0,
        all as f64 / 1e6
    );
    assert!(all > 200_000_000, "{all}");
    assert!(share < 0.35, "{share:.2}");
}
