use super::error::Error;
use super::load::{Flags, Loaded};
use super::values::Config;
use davy_archive::{LimitTable, TenantLimits};
use std::io::Write as _;
use std::time::Duration;

fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> Result<Loaded, Error> {
    let folder = tempfile::tempdir().expect("create a temporary folder");
    let path = folder.path().join("davy.toml");
    if let Some(text) = file {
        let written =
            std::fs::File::create(&path).and_then(|mut file| file.write_all(text.as_bytes()));
        written.expect("write davy.toml");
    }
    let flags = Flags {
        file: file.map(|_| path),
        values: flags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect(),
    };
    let result = Loaded::read(
        &flags,
        environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned())),
    );
    result.map_err(|Error(text)| Error(text.replace(&folder.path().display().to_string(), "")))
}

#[test]
fn flag_overrides_environment_overrides_file_and_source_is_recorded() {
    let file = "[archive]\nflush_interval = \"1s\"\n[profiler]\nhz = 50\n";
    let loaded = load(
        Some(file),
        &[
            ("DAVY_ARCHIVE_FLUSH_INTERVAL", "2s"),
            ("HOME", "/root"),
            ("DAVY_SERVER", "http://x"),
        ],
        &[("profiler.hz", "200")],
    )
    .expect("valid");
    let config = Config::new(&loaded).expect("valid");
    assert_eq!(config.flush_interval, Duration::from_secs(2));
    assert_eq!(config.profiler_hz, 200);
    let source = |key: &str| {
        loaded
            .iter()
            .find(|(k, ..)| *k == key)
            .map(|(.., source)| source.to_string())
    };
    assert_eq!(
        source("archive.flush_interval").as_deref(),
        Some("environment DAVY_ARCHIVE_FLUSH_INTERVAL")
    );
    assert_eq!(source("profiler.hz").as_deref(), Some("flag --profiler-hz"));
    assert_eq!(source("http.listen").as_deref(), Some("default"));
}

#[test]
fn unknown_name_is_refused_with_the_nearest_one() {
    let check = |file: Option<&str>, environment: &[(&str, &str)], expected: &str| {
        assert_eq!(
            load(file, environment, &[]).map(|_| ()),
            Err(Error(expected.to_owned()))
        );
    };
    check(
        Some("[archive]\nflush_intervall = \"1s\""),
        &[],
        "unknown key in /davy.toml: archive.flush_intervall; did you mean archive.flush_interval?",
    );
    check(
        None,
        &[("DAVY_HTTP_LISTN", "x")],
        "unknown environment variable DAVY_HTTP_LISTN; did you mean DAVY_HTTP_LISTEN?",
    );
    check(
        Some("[store]\nurl = \"memory:\""),
        &[],
        "unknown key in /davy.toml: store; did you mean bucket?",
    );
    check(
        None,
        &[("DAVY_STORE_URL", "memory:")],
        "unknown environment variable DAVY_STORE_URL; did you mean DAVY_BUCKET_URL?",
    );
    check(
        Some("a = 1"),
        &[],
        "unknown key in /davy.toml: a; `davy config show` lists all settings",
    );
    check(
        Some("\n[archive"),
        &[],
        "cannot read configuration file /davy.toml: line 2: unclosed table, expected `]`",
    );
    check(
        Some("[store]\nurl = \"memory:\""),
        &[],
        "unknown key in /davy.toml: store; did you mean bucket?",
    );
    check(
        None,
        &[("DAVY_STORE_URL", "memory:")],
        "unknown environment variable DAVY_STORE_URL; did you mean DAVY_BUCKET_URL?",
    );
    check(
        Some("[http]\nlisten = []"),
        &[],
        "http.listen in /davy.toml must be a single value",
    );
}

#[test]
fn invalid_value_is_refused_with_its_source() {
    let check = |key: &'static str, value: &str, expected: &str| {
        let loaded = load(None, &[], &[(key, value)]).expect("known names");
        assert_eq!(
            Config::new(&loaded).map(|_| ()),
            Err(Error(expected.to_owned()))
        );
    };
    check(
        "http.listen",
        "8080",
        "invalid http.listen = \"8080\" (flag --http-listen): expected an address and port such as 127.0.0.1:8080 (port 0 selects a free port)",
    );
    check(
        "profiler.hz",
        "0",
        "invalid profiler.hz = \"0\" (flag --profiler-hz): expected a whole number from 1 to 1000",
    );
    check(
        "profiler.compression",
        "zip",
        "invalid profiler.compression = \"zip\" (flag --profiler-compression): expected gzip, zstd or none",
    );
    check(
        "archive.flush_interval",
        "5",
        "invalid archive.flush_interval = \"5\" (flag --archive-flush-interval): expected a duration above 0 such as 250ms, 5s or 1h30m",
    );
}

#[test]
fn prices_are_numbers_with_a_currency() {
    let config = |file: &str| {
        let loaded = load(Some(file), &[], &[])?;
        Config::new(&loaded)
    };
    let of = config("[bucket.prices]\ncurrency = \"EUR\"\nput_per_1000 = 0.005\nget_per_1000 = 0");
    let prices = of.expect("valid").prices;
    assert_eq!(
        (
            prices.currency.as_str(),
            prices.put_per_1000,
            prices.get_per_1000,
            prices.list_per_1000
        ),
        ("EUR", Some(0.005), Some(0.0), None)
    );
    let error = |file: &str| config(file).map(|_| ()).expect_err(file).0;
    assert_eq!(
        error("[bucket.prices]\nput_per_1000 = 0.005"),
        "[bucket.prices] has prices but no currency; set bucket.prices.currency, such as \"USD\""
    );
    let negative = error("[bucket.prices]\ncurrency = \"EUR\"\nput_per_1000 = -1");
    assert!(
        negative.starts_with("invalid bucket.prices.put_per_1000 = \"-1\" (")
            && negative.ends_with("/davy.toml): expected a price of at least 0, such as 0.005"),
        "{negative}"
    );
    assert_eq!(
        error("[bucket.prices]\nput_per_100 = 1"),
        "unknown key in /davy.toml: bucket.prices.put_per_100; did you mean bucket.prices.put_per_1000?"
    );
}

#[test]
fn what_the_page_knows_about_the_code_of_services_is_read_in_order_and_bad_entries_are_refused() {
    let config = |file: &str| {
        let loaded = load(Some(file), &[], &[])?;
        Config::new(&loaded)
    };
    let entry = |rest: &str| format!("[[viewer.services]]\n{rest}\n");
    let found = config(
        &(entry(
            "service = '^checkout$'\nsource = 'https://git.example.com/{path}#L{line}'\nown = '^checkout::'",
        ) + &entry("service = '.'")),
    );
    let found = found.expect("valid").viewer;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].own.as_deref(), Some("^checkout::"));
    assert_eq!(found[0].strip, None);
    assert_eq!(found[1].service, ".");
    let check = |rest: &str, expected: &str| {
        let error = config(&entry(rest)).map(|_| ()).expect_err(rest).0;
        assert!(error.contains(expected), "{error}");
    };
    check(
        "own = 'a'",
        "invalid service of service 1 of viewer.services: expected a regular expression such as ^checkout$",
    );
    check(
        "service = 'a('",
        "invalid service of service 1 of viewer.services: regex parse error",
    );
    check(
        "service = 'a'\nsource = 'ftp://x/{path}'",
        "begins with https:// or http://",
    );
    check("servce = 'a'", "did you mean viewer.services.service?");
    let error = config("[viewer.services]\na = 1")
        .map(|_| ())
        .expect_err("not a list")
        .0;
    assert_eq!(
        error,
        "viewer.services in /davy.toml must be a list of tables: [[viewer.services]]"
    );
}

#[test]
fn rules_of_retention_are_read_in_their_order_and_bad_ones_are_refused() {
    let config = |file: &str| {
        let loaded = load(Some(file), &[], &[])?;
        Config::new(&loaded)
    };
    let rule = |rest: &str| format!("[[archive.retention_rules]]\n{rest}\n");
    let ten = (1..=10).map(|days| {
        rule(&format!(
            "selector = '{{service_name=\"s{days}\"}}'\ndays_retention = \"{days}d\""
        ))
    });
    let of_team =
        rule("tenant = \"team\"\nselector = '{member=~\"gc.*\"}'\ndays_retention = \"1095d\"");
    let rules = config(&(ten.collect::<String>() + &of_team)).expect("valid");
    let rules = rules.retention_rules;
    let days: Vec<u64> = rules.iter().map(|of| of.days.as_secs() / 86_400).collect();
    assert_eq!(days, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1_095]);
    assert_eq!(rules[9].selector.text(), "{service_name=\"s10\"}");
    assert!(rules[9].tenant.is_none() && rules[10].tenant.is_some());

    let check = |rest: &str, expected: &str| {
        let error = config(&rule(rest)).map(|_| ()).expect_err(rest).0;
        assert!(error.contains(expected), "{error}");
    };
    let days = "days_retention = \"7d\"";
    check(
        days,
        "its selector selects everything; set archive.days_retention",
    );
    check(
        &format!("selector = '{{a=}}'\n{days}"),
        "invalid rule 1 of archive.retention_rules: invalid selector \"{a=}\": expected a quoted value at column 4",
    );
    check(
        "selector = '{a=\"b\"}'",
        "expected a duration above 0 such as 7d or 1095d",
    );
    check(
        "selector = '{a=\"b\"}'\ndays_retention = \"0s\"",
        "/davy.toml): expected a duration above 0 such as 7d or 1095d",
    );
    check(
        &format!("selector = '{{a=\"b\"}}'\ntenant = \"\"\n{days}"),
        "invalid tenant \"\" of rule 1",
    );
    check(
        &format!("selectr = '{{a=\"b\"}}'\n{days}"),
        "unknown key in /davy.toml: archive.retention_rules.selectr; did you mean archive.retention_rules.selector?",
    );
    let error = config("[archive.retention_rules]\na = 1").map(|_| ());
    assert_eq!(
        error,
        Err(Error(
            "archive.retention_rules in /davy.toml must be a list of tables: [[archive.retention_rules]]".to_owned()
        ))
    );
}

#[test]
fn every_default_is_valid() {
    Config::new(&load(None, &[], &[]).expect("load the defaults")).expect("valid defaults");
}

#[test]
fn tenant_has_the_limits_of_its_section_and_otherwise_the_common_ones() {
    let file = "[limits]\nseries = 7\nquery_range = \"31d\"\n[tenants.\"team a\"]\nseries = 9\ningest_rate_bytes = \"1MiB\"\n[tenants.\"b.c\"]\nquery_timeout = \"3s\"\n";
    let loaded = load(Some(file), &[("DAVY_LIMITS_SERIES", "8")], &[]).expect("valid");
    let mut expected = LimitTable::new(TenantLimits {
        series: 8,
        query_range: Duration::from_hours(31 * 24),
        ..TenantLimits::default()
    });
    let common = TenantLimits {
        series: 8,
        query_range: Duration::from_hours(31 * 24),
        ..TenantLimits::default()
    };
    let own = TenantLimits {
        series: 9,
        ingest_rate_bytes: 1 << 20,
        ..common.clone()
    };
    assert!(expected.insert("team a", own));
    let own = TenantLimits {
        query_timeout: Duration::from_secs(3),
        ..common
    };
    assert!(expected.insert("b.c", own));
    assert_eq!(
        Config::new(&loaded).map(|config| config.limits),
        Ok(expected)
    );
    let shown = loaded
        .sourced("tenants.team a.series")
        .map(|(value, _)| value);
    assert_eq!(shown, Some("9"));
    let defaults = Config::new(&load(None, &[], &[]).expect("valid")).expect("valid");
    assert_eq!(defaults.limits, LimitTable::default());
}

#[test]
fn invalid_limit_of_a_tenant_is_refused_with_what_is_expected() {
    let check = |file: &str, expected: &str| {
        let loaded = load(Some(file), &[], &[]);
        let error = match loaded {
            Ok(loaded) => Config::new(&loaded).expect_err("invalid"),
            Err(error) => error,
        };
        let Error(text) = error;
        assert!(text.starts_with(expected), "{text}");
    };
    check(
        "[tenants.a]\nserie = 5",
        "unknown key in /davy.toml: tenants.a.serie; did you mean tenants.a.series?",
    );
    check(
        "[tenants]\nseries = 5",
        "unknown key in /davy.toml: tenants.series; ",
    );
    check(
        "[tenant.a]\nseries = 5",
        "unknown key in /davy.toml: tenant; did you mean tenants?",
    );
    check(
        "[tenants.a]\nseries = 0",
        "invalid tenants.a.series = \"0\" (",
    );
    check(
        "[limits]\nprofile_bytes = \"65MiB\"",
        "invalid limits.profile_bytes = \"65MiB\" (",
    );
    check(
        &format!("[tenants.{}]\nseries = 5", "x".repeat(129)),
        "invalid tenant \"xxx",
    );
}
