//! The error of a command: what failed, why, and the exit code.

use crate::config;
use std::error::Error;
use std::io;

/// The error that caused a failure.
type Cause = Box<dyn Error + Send + Sync>;

/// Why a command exits with a code other than 0.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Invalid arguments or configuration.
    #[error("{message}")]
    Usage {
        message: String,
        #[source]
        source: Option<Cause>,
        hint: &'static str,
    },
    /// The command could not do its work.
    #[error("{message}")]
    Failed {
        message: String,
        #[source]
        source: Option<Cause>,
        hint: &'static str,
    },
    /// No connection to the server could be established.
    #[error("cannot connect to {server}")]
    Unreachable {
        server: String,
        #[source]
        source: io::Error,
    },
    /// The server answered with an error status.
    #[error("{server} responded with status {status}: {reason}")]
    Refused {
        server: String,
        status: u16,
        reason: String,
    },
    /// The task of a build has failed.
    #[error("{message}")]
    Task { message: String, code: u8 },
    /// The program to record could not be started.
    #[error("cannot start {program}")]
    Spawn {
        program: String,
        #[source]
        source: io::Error,
    },
}

impl Failure {
    /// Invalid usage without an underlying error.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            source: None,
            hint: "",
        }
    }

    /// A failure without an underlying error.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Failed {
            message: message.into(),
            source: None,
            hint: "",
        }
    }

    /// Wraps an error that invalid usage caused; for `map_err`.
    pub(crate) fn invalid<E: Into<Cause>>(message: impl Into<String>) -> impl FnOnce(E) -> Self {
        let message = message.into();
        move |error| Self::Usage {
            message,
            source: Some(error.into()),
            hint: "",
        }
    }

    /// Wraps the error that caused a failure; for `map_err`.
    pub(crate) fn because<E: Into<Cause>>(message: impl Into<String>) -> impl FnOnce(E) -> Self {
        let message = message.into();
        move |error| Self::Failed {
            message,
            source: Some(error.into()),
            hint: "",
        }
    }

    /// Adds what the operator can do about it.
    pub(crate) fn with_hint(mut self, text: &'static str) -> Self {
        if let Self::Usage { hint, .. } | Self::Failed { hint, .. } = &mut self {
            *hint = text;
        }
        self
    }

    /// The exit code: that of a failed task, 2 for invalid usage, 127 and 126 as `env` exits for a program that does not exist
    /// or cannot be executed, otherwise 1.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Task { code, .. } => *code,
            Self::Failed { .. } | Self::Unreachable { .. } | Self::Refused { .. } => 1,
            Self::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Spawn { .. } => 126,
        }
    }

    /// The failure, its causes and the hint in one sentence.
    pub(crate) fn report(&self) -> String {
        let mut report = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let (text, original) = (plain(error), error.to_string());
            // Some errors repeat their source in their own text.
            if let Some(start) = report.strip_suffix(&original) {
                report = format!("{start}{text}");
            } else if !report.ends_with(&text) {
                report.push_str(": ");
                report.push_str(&text);
            }
            cause = error.source();
        }
        let hint = match self {
            Self::Usage { hint, .. } | Self::Failed { hint, .. } => hint,
            Self::Unreachable { .. } => {
                "start Davy with `davy quickstart`, or pass another --server"
            }
            Self::Refused { .. } | Self::Spawn { .. } | Self::Task { .. } => "",
        };
        if !hint.is_empty() {
            report.push_str("; ");
            report.push_str(hint);
        }
        report
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::usage(error.to_string())
    }
}

/// The text of an error. Errors of the operating system are in lower case and without their number.
fn plain(error: &(dyn Error + 'static)) -> String {
    let text = error.to_string();
    let is_os = error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.raw_os_error().is_some());
    if !is_os {
        return text;
    }
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_lowercase);
    first.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_has_the_causes_and_the_hint() {
        let error = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        let unreachable = Failure::Unreachable {
            server: "http://127.0.0.1:1".to_owned(),
            source: error,
        };
        assert_eq!(
            unreachable.report(),
            "cannot connect to http://127.0.0.1:1: connection refused; start Davy with `davy quickstart`, or pass another --server"
        );
        let failed =
            Failure::because("cannot read a.pb")(io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(
            failed.with_hint("pass another file").report(),
            "cannot read a.pb: no such file or directory; pass another file"
        );
    }

    #[test]
    fn cause_that_its_error_repeats_is_reported_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read a.tar: {0}")]
        struct Read(#[source] io::Error);
        let error = Read(io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(
            Failure::because("cannot import")(error).report(),
            "cannot import: cannot read a.tar: no such file or directory"
        );
    }

    #[test]
    fn exit_code_is_127_for_a_missing_program_and_126_for_one_that_is_not_executable() {
        let spawn = |kind: io::ErrorKind| Failure::Spawn {
            program: "x".to_owned(),
            source: kind.into(),
        };
        assert_eq!(spawn(io::ErrorKind::NotFound).exit_code(), 127);
        assert_eq!(spawn(io::ErrorKind::PermissionDenied).exit_code(), 126);
    }
}
