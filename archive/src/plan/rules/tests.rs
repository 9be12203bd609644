use super::*;

const DAY: Duration = Duration::from_hours(24);

fn rule(selector: &str, days: u32) -> RetentionRule {
    RetentionRule {
        tenant: None,
        selector: Selector::parse(selector).expect("a selector"),
        days: DAY * days,
    }
}

fn rules(all: &[RetentionRule]) -> TenantRules {
    TenantRules::of(all, &Tenant::anonymous(), DAY * 731)
}

fn fate(rules: &TenantRules, services: &[&str], days: u32) -> Fate {
    let end = Timestamp::EPOCH;
    rules.fate(end, end.plus(DAY * days), services.iter().copied(), &[])
}

#[test]
fn first_rule_that_selects_a_series_applies() {
    let rules = rules(&[
        rule(r#"{service_name="a",member="x"}"#, 7),
        rule(r#"{service_name=~"a|b"}"#, 30),
    ]);
    let class = |service: &'static str, member: &'static str| {
        rules.class(|label| match label {
            SERVICE => service,
            "member" => member,
            _ => "",
        })
    };
    assert_eq!(class("a", "x"), 0);
    assert_eq!(class("a", "y"), 1);
    assert_eq!(class("b", "x"), 1);
    assert_eq!(class("c", "x"), 2);
    let classes = |service| rules.classes(service).into_iter().collect::<Vec<_>>();
    assert_eq!(classes("a"), [0, 1]);
    assert_eq!(classes("b"), [1]);
    assert_eq!(classes("c"), [2]);
}

#[test]
fn series_that_are_kept_shorter_leave_the_block_and_the_others_stay() {
    let rules = rules(&[rule(r#"{service_name="noisy"}"#, 7)]);
    let only_noisy = Fate::Successor([0].into());
    assert_eq!(fate(&rules, &["noisy", "web"], 6), Fate::Kept);
    assert_eq!(fate(&rules, &["noisy", "web"], 7), only_noisy);
    assert_eq!(fate(&rules, &["web"], 7), Fate::Kept);
    assert_eq!(fate(&rules, &["noisy"], 7), Fate::Deleted);
    assert_eq!(fate(&rules, &["noisy", "web"], 731), Fate::Deleted);
}

#[test]
fn series_that_are_kept_longer_stay_when_the_others_expire() {
    let rules = rules(&[rule(r#"{service_name="shop",member="cart"}"#, 1_000)]);
    let without_others = Fate::Successor([1].into());
    assert_eq!(fate(&rules, &["shop", "web"], 730), Fate::Kept);
    assert_eq!(fate(&rules, &["shop", "web"], 731), without_others);
    assert_eq!(fate(&rules, &["web"], 731), Fate::Deleted);
    assert_eq!(fate(&rules, &["shop"], 731), without_others);
    assert_eq!(fate(&rules, &["shop"], 1_000), Fate::Deleted);
    assert_eq!(
        (rules.shortest(), rules.longest()),
        (DAY * 731, DAY * 1_000)
    );
}

#[test]
fn successor_gets_no_other_successor_until_the_next_class_expires() {
    let two = [
        rule(r#"{service_name="web",member="a"}"#, 7),
        rule(r#"{service_name="web",member="b"}"#, 9),
    ];
    let of = rules(&two);
    let end = Timestamp::EPOCH;
    let at = |days: u32, inputs: &[String]| of.fate(end, end.plus(DAY * days), ["web"], inputs);
    let first = vec!["0".repeat(32), of.input(0), "name 1".to_owned()];
    assert_eq!(at(8, &[]), Fate::Successor([0].into()));
    assert_eq!(at(8, &first), Fate::Kept);
    assert_eq!(at(9, &first), Fate::Successor([0, 1].into()));
    assert!(is_successor(&first) && !is_successor(&first[..1]));
    // In another order, a class selects other series.
    let [a, b] = two;
    let reversed = rules(&[b, a]);
    assert_ne!(of.input(0), reversed.input(1));
    assert_ne!(of.input(1), reversed.input(0));
}

#[test]
fn rule_of_a_tenant_does_not_apply_to_others() {
    let mut of_team = rule(r#"{service_name="web"}"#, 7);
    of_team.tenant = Tenant::new("team");
    let all = [of_team];
    let of = |tenant: &str| TenantRules::of(&all, &Tenant::new(tenant).expect("a name"), DAY);
    assert!(!of("team").is_empty());
    assert!(of("other").is_empty());
}
