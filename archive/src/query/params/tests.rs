use super::*;

const NOW: Timestamp = Timestamp::from_seconds(1_764_334_800);
const HOUR: Duration = Duration::from_hours(1);

fn parameters_of(query: &str) -> Parameters {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let values = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Parameters::checked(values.collect(), "QueryDiff").expect("known names")
}

fn ask(query: &str) -> Result<Ask> {
    parameters_of(query).one_type(&Tenant::anonymous(), NOW)
}

#[test]
fn number_of_labels_to_group_by_is_limited() {
    let by = |count: usize| ask(&format!("type=cpu&by={}", vec!["a"; count].join(",")));
    assert_eq!(by(BY).map(|ask| ask.by.len()).ok(), Some(BY));
    assert!(by(BY + 1).is_err());
}

#[test]
fn range_is_the_last_hour_by_default() {
    let ask = ask("type=cpu").expect("valid");
    assert_eq!((ask.from, ask.until), (NOW.minus(HOUR), NOW));
}

#[test]
fn length_of_a_diff_is_that_of_the_longer_range() {
    let length = |query: &str, operation: &str| {
        let kept = NOW.minus(100 * HOUR)..NOW.plus(HOUR);
        let counted =
            |from: Timestamp, until: Timestamp| until.min(kept.end).since(from.max(kept.start));
        let length = parameters_of(query).length(operation, NOW, counted);
        length.expect("valid")
    };
    assert_eq!(length("from=0&until=2262-01-01", "QueryTop"), 101 * HOUR);
    assert_eq!(length("from=now-3h", "QueryTop"), 3 * HOUR);
    assert_eq!(length("from=now-3h", "QueryDiff"), 3 * HOUR);
    assert_eq!(length("base_from=now-5h", "QueryDiff"), 5 * HOUR);
}

#[test]
fn path_is_repeated_and_of_others_the_last_value_counts() {
    let parameters = parameters_of("path=main&type=cpu&path=&path=f&type=wall");
    assert_eq!(parameters.path(), ["main", "f"]);
    assert_eq!(parameters.get("type"), Some("wall"));
}

#[test]
fn base_of_a_diff_is_the_range_before_unless_either_end_is_set() {
    let base = |query: &str| {
        let parameters = parameters_of(query);
        let side = ask("type=cpu&from=now-2h&until=now-1h").expect("valid");
        let base = parameters.base(&side, NOW).expect("valid");
        (base.from, base.until)
    };
    let ago = |hours: u64| NOW.minus(Duration::from_hours(hours));
    assert_eq!(base("type=cpu"), (ago(3), ago(2)));
    assert_eq!(base("base_from=now-5h"), (ago(5), NOW));
    assert_eq!(base("base_until=now-5h"), (ago(6), ago(5)));
}

#[test]
fn base_of_a_diff_has_the_selector_of_the_other_side_unless_it_is_set() {
    let side = ask("type=cpu&selector={a=\"1\"}").expect("valid");
    let base = |query: &str| {
        let base = parameters_of(query).base(&side, NOW).expect("valid");
        base.selector.text().to_owned()
    };
    assert_eq!(base("type=cpu"), "{a=\"1\"}");
    assert_eq!(base("base_selector={a=\"2\"}"), "{a=\"2\"}");
}

#[test]
fn group_outside_of_the_range_or_without_the_service_is_skipped() {
    let ask = ask("type=cpu&selector={service_name=\"web\"}").expect("valid");
    let (from, until) = (ask.from.millis(), ask.until.millis());
    let may =
        |service: &str, first: i64, last: i64| ask.may_be_in(&[service.to_owned()], first, last);
    assert!(may("web", from, from));
    assert!(may("web", from - 5, from));
    assert!(may("web", until - 1, until + 5));
    assert!(!may("web", from - 5, from - 1));
    assert!(!may("web", until, until + 5));
    assert!(!may("api", from, from));
    assert!(!ask.may_be_in(&[], from, from));
}

#[test]
fn every_query_operation_has_parameters() {
    for (_, path, operation) in crate::archive::OPERATIONS {
        let is_query = path.starts_with("/api/v1/profiles/");
        assert_eq!(!parameters(operation).is_empty(), is_query, "{operation}");
    }
}
