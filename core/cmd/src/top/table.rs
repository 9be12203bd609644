//! The columns of `davy top`, and its rows as a table.

use super::rows::Row;
use davy_profile::units::{bytes, seconds};

/// The columns of the table and of the screen.
pub(super) const COLUMNS: [&str; 10] = [
    "MEMBER",
    "OPERATION",
    "HEAP",
    "+-",
    "CPU",
    "ALLOC/S",
    "TASKS",
    "REQ/S",
    "P99",
    "DB",
];

/// The cells of a row.
pub(super) fn cells(row: &Row) -> [String; 10] {
    let usage = &row.usage;
    [
        row.member.clone(),
        row.op.clone(),
        bytes(usage.heap_bytes as f64),
        bytes(usage.heap_error_bytes as f64),
        format!("{:.1}%", usage.cpu * 100.0),
        bytes(usage.alloc_bytes_per_second),
        usage.tasks.to_string(),
        format!("{:.1}", usage.requests_per_second),
        p99(usage.request_p99_seconds),
        usage.db_queries.to_string(),
    ]
}

/// The upper bound of the last histogram bucket; a larger percentile is only known to be above it.
const P99_MAX: f64 = 10.0;

fn p99(value: f64) -> String {
    if value <= P99_MAX {
        seconds(value)
    } else {
        format!("> {P99_MAX} s")
    }
}

/// The rows as a table.
pub(super) fn table(rows: &[Row]) -> String {
    let line = |cells: &[String]| {
        let names = format!("{:<20} {:<20}", cells[0], cells[1]);
        let values = cells[2..].iter();
        values.fold(names, |line, cell| format!("{line} {cell:>9}")) + "\n"
    };
    let header: Vec<String> = COLUMNS.iter().map(|&name| name.to_owned()).collect();
    rows.iter()
        .fold(line(&header), |text, row| text + &line(&cells(row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentile_above_the_last_bucket_is_shown_as_greater() {
        assert_eq!(p99(5.0), "5.00 s");
        assert_eq!(p99(10.0), "10.0 s");
        assert_eq!(p99(10.01), "> 10 s");
    }
}
