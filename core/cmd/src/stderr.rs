//! Messages on standard error.

use std::fmt::Display;
use std::io::Write as _;

/// Prints a line. It is lost if it cannot be written: a full disk or a closed terminal must not end the process, as
/// `eprintln!` would.
pub(crate) fn print_line(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
