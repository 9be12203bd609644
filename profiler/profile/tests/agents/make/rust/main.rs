//! Profiles itself with the crate `pprof`.

use pprof::protos::Message as _;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn order(until: Instant) {
    while Instant::now() < until {
        let map: BTreeMap<u64, String> = (0..2000u64)
            .map(|i| (i * 7919 % 2003, i.to_string()))
            .collect();
        std::hint::black_box(map);
    }
}

fn fibonacci(n: u64) -> u64 {
    if n < 2 {
        n
    } else {
        fibonacci(n - 1) + fibonacci(n - 2)
    }
}

fn count(until: Instant) {
    while Instant::now() < until {
        std::hint::black_box(fibonacci(std::hint::black_box(15)));
    }
}

fn main() {
    let path = std::env::args().nth(1).expect("the file to write");
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(100)
        .build()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(2);
    let other = std::thread::Builder::new()
        .name("sorter".into())
        .spawn(move || order(until))
        .unwrap();
    count(until);
    other.join().unwrap();
    let profile = guard.report().build().unwrap().pprof().unwrap();
    std::fs::write(path, profile.encode_to_vec()).unwrap();
}
