//! Results of commands on standard output.

use crate::failure::Failure;
use std::io::{ErrorKind, Write as _};

/// Prints text.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Prints bytes. A closed pipe, as `head` leaves it, is not an error.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::because("cannot write to standard output")),
    }
}
