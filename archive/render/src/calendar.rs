//! The calendar: a table for each month, with links to the days that have graphs.

use davy_archive::key::{Day, Hour};
use jiff::civil::Date;
use std::collections::{BTreeMap, BTreeSet};

/// The day of the name of a folder.
pub(crate) fn day(name: &str) -> Option<Day> {
    let date: Date = name.parse().ok()?;
    let midnight = date.to_datetime(jiff::civil::Time::midnight());
    let start = jiff::tz::TimeZone::UTC.to_timestamp(midnight).ok()?;
    let day = Day::of(Hour::of(start.into()));
    // No other spelling is one of ours.
    (day.to_string() == name).then_some(day)
}

/// The months, the last one first.
pub(crate) fn months(days: &BTreeSet<Day>) -> String {
    let mut months: BTreeMap<String, BTreeSet<Day>> = BTreeMap::new();
    for day in days {
        let date = day.to_string();
        let month = date.get(..7).unwrap_or_default().to_owned();
        months.entry(month).or_default().insert(*day);
    }
    if months.is_empty() {
        return "<p>There are no flame graphs yet.</p>\n".to_owned();
    }
    let mut out = String::new();
    let mut year = String::new();
    for (month, days) in months.iter().rev() {
        let of = month.get(..4).unwrap_or_default();
        if of != year {
            of.clone_into(&mut year);
            out.push_str(&format!("<h2>{year}</h2>\n"));
        }
        out.push_str(&table(month, days));
    }
    out
}

fn table(month: &str, days: &BTreeSet<Day>) -> String {
    let mut out = format!("<table class=\"month\">\n<caption>{month}</caption>\n<thead><tr>");
    for name in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"] {
        out.push_str(&format!("<th scope=\"col\">{name}</th>"));
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    let Some(first) = day(&format!("{month}-01")) else {
        return String::new();
    };
    // Days since a Monday: 1970-01-01 was a Thursday.
    let weekday = |day: Day| (day.0 + 3).rem_euclid(7);
    let mut at = Day(first.0 - weekday(first));
    while at.0 <= first.0 || at.to_string().starts_with(month) {
        out.push_str("<tr>");
        for _ in 0..7 {
            let date = at.to_string();
            let cell = if !date.starts_with(month) {
                "<td></td>".to_owned()
            } else if days.contains(&at) {
                let number = date[8..].trim_start_matches('0');
                format!("<td><a href=\"{date}/index.html\" aria-label=\"{date}\">{number}</a></td>")
            } else {
                format!(
                    "<td class=\"none\">{}</td>",
                    date[8..].trim_start_matches('0')
                )
            };
            out.push_str(&cell);
            at = Day(at.0 + 1);
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody>\n</table>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_has_a_cell_for_each_day_and_a_link_for_each_with_graphs() {
        let date = |text: &str| day(text).expect("a date");
        let days = [date("2026-11-01"), date("2026-11-30"), date("2024-02-29")].into();
        let html = months(&days);
        assert_eq!(html.matches("<a href=").count(), 3);
        assert!(
            html.contains("<a href=\"2024-02-29/index.html\" aria-label=\"2024-02-29\">29</a>")
        );
        let november = &html[..html.find("2024</h2>").expect("the other year")];
        // November 2026 begins on a Sunday and ends on a Monday.
        assert_eq!(november.matches("<tr>").count(), 1 + 6);
        assert_eq!(november.matches("<td></td>").count(), 6 + 6);
        assert!(november.contains(">30</a></td><td></td>"), "{november}");
    }

    #[test]
    fn only_folders_of_days_are_days() {
        assert_eq!(day("1970-01-02"), Some(Day(1)));
        for name in ["hourly", "daily", "2026-11-31", "2026-1-1", "20261101"] {
            assert_eq!(day(name), None, "{name}");
        }
    }
}
