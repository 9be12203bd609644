use super::*;
use davy_profile::{gzip, pprof};
use object_store::memory::InMemory;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_seconds(1_764_334_800);

fn options() -> ArchiveOptions {
    ArchiveOptions::new(Arc::new(InMemory::new()))
}

/// A profile of these sample types, which begins now and takes ten seconds.
fn profile(types: &[&str]) -> Profile {
    let mut profile = Profile::new();
    for kind in types {
        profile.add_sample_type(kind, "count");
    }
    profile.time_nanos = NOW.nanos();
    profile.duration_nanos = 10_000_000_000;
    profile
}

fn push(profile: &Profile) -> Push {
    Push {
        labels: [(SERVICE.to_owned(), "web".to_owned())].into(),
        identity: WindowIdentity::Content,
        span: None,
        format: Format::Pprof(SampleTypes::default()),
        body: gzip::compress(&pprof::encode(profile)).into(),
    }
}

fn decoded(push: Push, options: &ArchiveOptions, left: &mut usize) -> Result<Decoded> {
    let metrics = Metrics::new(&prometheus::Registry::new()).expect("fresh registry");
    let mut series = SeriesLabels::default();
    let arrival = Arrival { now: NOW, id: 7 };
    let push = decode(
        push,
        options,
        &metrics,
        arrival,
        (left, usize::MAX),
        &mut series,
    )?;
    Ok(push.profiles.into_iter().next().expect("one profile"))
}

#[test]
fn content_without_a_time_is_a_new_window_each_time() {
    let id = |profile: &Profile, arrival: u128| identity(&push(profile), "{}", profile, 0, arrival);
    let timed = profile(&["cpu"]);
    assert_eq!(id(&timed, 1), id(&timed, 2), "a retry");
    let mut untimed = timed.clone();
    untimed.time_nanos = 0;
    assert_ne!(id(&untimed, 1), id(&untimed, 2));
    let spanned = Push {
        span: Some((NOW, NOW)),
        ..push(&untimed)
    };
    let of_span = |arrival| identity(&spanned, "{}", &untimed, 0, arrival);
    assert_eq!(of_span(1), of_span(2));
    let named = Push {
        identity: WindowIdentity::Client("A".to_owned()),
        ..push(&untimed)
    };
    let of_client = |arrival| identity(&named, "{}", &untimed, 0, arrival);
    assert_eq!(of_client(1), of_client(2));
    let second = identity(&push(&timed), "{}", &timed, 1, 1);
    assert_ne!(second, id(&timed, 1), "profiles of one recording");
}

#[test]
fn unpacked_size_of_a_whole_request_is_limited() {
    let one = pprof::encode(&profile(&["cpu"])).len();
    let mut left = 2 * one;
    let mut next = || decoded(push(&profile(&["cpu"])), &options(), &mut left).map(|_| ());
    assert_eq!(next().map_err(|e| e.message), Ok(()));
    assert_eq!(next().map_err(|e| e.message), Ok(()));
    assert_eq!(next().map_err(|e| e.kind), Err(ErrorKind::TooLarge));
    assert_eq!(left, 0);
}

#[test]
fn number_of_sample_types_is_limited() {
    let names: Vec<String> = (0..=TYPES).map(|at| format!("t{at}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let kinds = |count: usize| {
        let decoded = decoded(push(&profile(&names[..count])), &options(), &mut (1 << 20));
        decoded
            .map(|decoded| decoded.kinds.len())
            .map_err(|e| e.kind)
    };
    assert_eq!(kinds(TYPES), Ok(TYPES));
    assert_eq!(kinds(TYPES + 1), Err(ErrorKind::Invalid));
}

#[test]
fn length_of_a_type_id_is_limited() {
    // The name `x`, the unit `count`, no period, and four colons.
    let rest = "x::count::".len();
    let ids = |length: usize| {
        let kind = "t".repeat(length - rest);
        names::type_ids("x", &profile(&[&kind]), &SampleTypes::default())
            .map(|ids| ids[0].len())
            .map_err(|e| e.kind)
    };
    assert_eq!(ids(labels::VALUE_BYTES), Ok(labels::VALUE_BYTES));
    assert_eq!(ids(labels::VALUE_BYTES + 1), Err(ErrorKind::Invalid));
}

#[test]
fn number_of_profile_names_of_a_series_is_limited() {
    let mut series = SeriesLabels::default();
    let pairs: Arc<[(String, String)]> = [(SERVICE.to_owned(), "web".to_owned())].into();
    series.labels(&pairs).expect("valid");
    for at in 0..TYPES {
        series.source(format!("n{at}")).expect("within the limit");
    }
    series.source("n0".to_owned()).expect("known");
    let above = series.source("another".to_owned()).map(|_| ());
    assert_eq!(above.map_err(|e| e.kind), Err(ErrorKind::Invalid));
}

#[test]
fn start_and_duration_come_from_the_request_or_the_profile_or_the_clock() {
    let check = |span, profile: &Profile, expected: (Timestamp, i64)| {
        assert_eq!(when(span, profile, &options(), NOW).ok(), Some(expected));
    };
    let timed = profile(&["cpu"]);
    let ago = |seconds| NOW.minus(Duration::from_secs(seconds));
    check(Some((ago(15), NOW)), &timed, (ago(15), 15_000));
    check(Some((NOW, ago(15))), &timed, (NOW, 0));
    check(None, &timed, (NOW, 10_000));
    let mut untimed = profile(&["cpu"]);
    untimed.time_nanos = 0;
    check(None, &untimed, (NOW, 10_000));
}

#[test]
fn start_must_be_within_the_retention_and_future_limits_inclusive() {
    let options = options();
    let accepted =
        |start: Timestamp| when(Some((start, start)), &profile(&["cpu"]), &options, NOW).is_ok();
    let millisecond = Duration::from_millis(1);
    let (oldest, newest) = (NOW.minus(options.retention), NOW.plus(options.future));
    assert!(accepted(oldest) && accepted(newest));
    assert!(!accepted(oldest.minus(millisecond)));
    assert!(!accepted(newest.plus(millisecond)));
}
