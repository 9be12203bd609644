//! Errors of the database.

use sqlx::migrate::MigrateError;

/// An error of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is neither of SQLite nor of Postgres.
    #[error("unsupported database URL {url:?}: expected sqlite:PATH or postgres://USER@HOST/NAME")]
    Scheme {
        /// The URL without its password.
        url: String,
    },
    /// The URL cannot be parsed.
    #[error(
        "invalid database URL {url:?}: {source}; expected sqlite:PATH or postgres://USER@HOST/NAME"
    )]
    Url {
        /// The URL without its password.
        url: String,
        /// The parser's error.
        source: sqlx::Error,
    },
    /// The database cannot be opened, and retrying will not help.
    #[error("cannot open database {database}: {source}")]
    Open {
        /// The URL without its password.
        database: String,
        /// The database's error.
        source: sqlx::Error,
    },
    /// The schema cannot be migrated to this version.
    #[error("cannot migrate database {database}: {source}")]
    Migrate {
        /// The URL without its password.
        database: String,
        /// The migration's error.
        source: MigrateError,
    },
    /// The schema was migrated by a newer version of Davy.
    #[error(
        "database {database} has schema version {version}, which is newer than this version of Davy; start a newer version, or use another database"
    )]
    Newer {
        /// The URL without its password.
        database: String,
        /// The number of the unknown migration.
        version: i64,
    },
    /// The server's certificate is not trusted, or the server does not support TLS.
    #[error(
        "TLS connection to database {database} failed: {source}; set the CA certificate with ?sslrootcert=FILE, or choose what is verified with ?sslmode=verify-full, verify-ca, require or disable"
    )]
    Tls {
        /// The URL without its password.
        database: String,
        /// The error of the handshake.
        source: sqlx::Error,
    },
    /// The connection was refused or lost, or the server is starting, stopping or out of resources.
    #[error("database {database} is unreachable: {}", reason(.source))]
    Unreachable {
        /// The URL without its password.
        database: String,
        /// The connection's error.
        source: sqlx::Error,
    },
    /// The database did not respond in time.
    #[error("database {database} did not respond within {seconds} s")]
    Timeout {
        /// The URL without its password.
        database: String,
        /// The time limit, in seconds.
        seconds: u64,
    },
    /// All connections of the member's budget are in use.
    #[error(
        "timed out after {seconds} s waiting for a database connection: all {connections} of the budget of {} are in use; raise the budget or run fewer queries concurrently", owner(.member)
    )]
    Budget {
        /// The member; "" for queries outside any member's budget.
        member: String,
        /// The maximum number of connections in use at the same time.
        connections: u32,
        /// How long the query waited, in seconds.
        seconds: u64,
    },
    /// A text contains a zero byte, which Postgres cannot store.
    #[error("text for the database contains a zero byte at offset {at}; remove it")]
    ZeroByte {
        /// The offset from the start of the text, in bytes.
        at: usize,
    },
    /// The database rejected a query.
    #[error("database query failed: {0}")]
    Query(#[source] sqlx::Error),
}

/// Why a connection failed. Errors of the operating system are in lower case and without their number.
fn reason(error: &sqlx::Error) -> String {
    let text = match error {
        sqlx::Error::Io(error) => error.to_string(),
        other => return other.to_string(),
    };
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_lowercase);
    first.chain(rest).collect()
}

fn owner(member: &str) -> String {
    match member {
        "" => "the process".to_owned(),
        member => format!("member {member}"),
    }
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The database is unreachable: report it, pause and retry.
    Unreachable,
    /// The database is reachable, but all connections of the budget are in use: pause and retry.
    Busy,
    /// A setting, a permission or the version must be changed: give up.
    Settings,
    /// The query is wrong: give up.
    Refused,
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => ErrorKind::Unreachable,
            Self::Budget { .. } => ErrorKind::Busy,
            Self::Scheme { .. }
            | Self::Url { .. }
            | Self::Open { .. }
            | Self::Tls { .. }
            | Self::Migrate { .. }
            | Self::Newer { .. } => ErrorKind::Settings,
            Self::ZeroByte { .. } | Self::Query(_) => ErrorKind::Refused,
        }
    }

    /// Whether the caller should pause and retry: the database is unreachable, or the budget is
    /// exhausted. [`Error::kind`] distinguishes the two.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::Unreachable | ErrorKind::Busy)
    }

    /// The error of a query on an open connection.
    pub(crate) fn of_query(database: &str, source: sqlx::Error) -> Self {
        if is_transient_error(&source) {
            Self::Unreachable {
                database: database.to_owned(),
                source,
            }
        } else {
            Self::Query(source)
        }
    }

    /// The error of an attempt to connect.
    pub(crate) fn of_opening(database: &str, source: sqlx::Error) -> Self {
        let database = database.to_owned();
        let is_tls = match &source {
            sqlx::Error::Tls(_) => true,
            // One side aborted the handshake, for example because of a certificate.
            sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
            _ => false,
        };
        if is_tls {
            Self::Tls { database, source }
        } else if is_transient_error(&source) {
            Self::Unreachable { database, source }
        } else {
            Self::Open { database, source }
        }
    }

    /// The error of a migration.
    pub(crate) fn of_migration(database: &str, source: MigrateError) -> Self {
        match source {
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)
                if is_transient_error(&source) =>
            {
                Self::of_query(database, source)
            }
            MigrateError::VersionMissing(version) => Self::Newer {
                database: database.to_owned(),
                version,
            },
            source => Self::Migrate {
                database: database.to_owned(),
                source,
            },
        }
    }
}

/// Whether the same operation may succeed later without any change by a person.
fn is_transient_error(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Io(_)
        | E::Protocol(_)
        | E::PoolTimedOut
        | E::PoolClosed
        | E::WorkerCrashed
        | E::BeginFailed => true,
        E::Database(error) => {
            let Some(code) = error.code() else {
                return false;
            };
            if error
                .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
                .is_some()
            {
                is_transient_in_postgres(&code)
            } else {
                is_transient_in_sqlite(&code)
            }
        }
        _ => false,
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn is_transient_in_postgres(code: &str) -> bool {
    // Class 08: connection errors. Class 53: out of connections, memory or disk space.
    code.starts_with("08")
        || code.starts_with("53")
        || matches!(
            code,
            // Terminated by an administrator, crashed, starting or stopping, database dropped.
            "57P01" | "57P02" | "57P03" | "57P05"
            // Statement timeout, idle-in-transaction timeout, lock not available.
            | "57014" | "25P03" | "55P03"
            // Serialization failure, deadlock.
            | "40001" | "40P01"
            // The server is a standby that has not been promoted yet.
            | "25006"
        )
}

/// <https://www.sqlite.org/rescode.html>. The low byte of an extended code is the primary code.
fn is_transient_in_sqlite(code: &str) -> bool {
    const BUSY: i32 = 5;
    const LOCKED: i32 = 6;
    const IO: i32 = 10;
    const FULL: i32 = 13;
    code.parse::<i32>()
        .is_ok_and(|code| matches!(code & 0xff, BUSY | LOCKED | IO | FULL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_that_can_resolve_themselves_are_transient() {
        let postgres = |code: &str, expected: bool| {
            assert_eq!(is_transient_in_postgres(code), expected, "{code}");
        };
        postgres("57P01", true);
        postgres("08006", true);
        postgres("53300", true);
        postgres("40001", true);
        postgres("23505", false);
        postgres("42P01", false);
        postgres("28P01", false);
        postgres("3D000", false);
        let sqlite = |code: &str, expected: bool| {
            assert_eq!(is_transient_in_sqlite(code), expected, "{code}");
        };
        sqlite("5", true);
        sqlite("517", true);
        sqlite("14", false);
        sqlite("2067", false);
        sqlite("26", false);
        assert!(is_transient_error(&sqlx::Error::PoolTimedOut));
        assert!(!is_transient_error(&sqlx::Error::RowNotFound));
    }

    #[test]
    fn exhausted_budget_is_busy_not_unreachable() {
        let error = Error::Budget {
            member: "scanner".to_owned(),
            connections: 2,
            seconds: 3,
        };
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.is_transient());
        assert_eq!(
            error.to_string(),
            "timed out after 3 s waiting for a database connection: all 2 of the budget of member scanner are in use; raise the budget or run fewer queries concurrently"
        );
    }
}
