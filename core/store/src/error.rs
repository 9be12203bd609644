//! Why the database did not do as it was asked, and what to do about it.

use sqlx::migrate::MigrateError;

/// Why the database did not do as it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL names no database that this build knows.
    #[error(
        "database {url:?} is not understood: write sqlite:PATH or postgres://USER@HOST/NAME ({why})"
    )]
    Url {
        /// The URL, without its password.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// It can't be opened, and trying again will not help.
    #[error("database {database} can't be opened: {source}")]
    Open {
        /// The database, without a password.
        database: String,
        /// What the database says.
        source: sqlx::Error,
    },
    /// Its tables can't be brought to this version's shape.
    #[error("database {database} can't be migrated: {source}")]
    Migrate {
        /// The database, without a password.
        database: String,
        /// What the migration says.
        source: MigrateError,
    },
    /// It was migrated by a newer version.
    #[error(
        "database {database} has tables of a newer version ({version}): start that version, or name another database"
    )]
    Newer {
        /// The database, without a password.
        database: String,
        /// The migration that this build does not know.
        version: i64,
    },
    /// The server's certificate is not trusted, or there is no TLS where the URL asks for it.
    #[error(
        "database {database} can't be spoken to by TLS: {source}; name the CA of its certificate in the URL with ?sslrootcert=FILE, or say how much is checked with ?sslmode=verify-full, verify-ca, require or disable"
    )]
    Tls {
        /// The database, without a password.
        database: String,
        /// What was found.
        source: sqlx::Error,
    },
    /// The connection was refused or lost, or the server is starting, stopping or out of resources.
    #[error("database {database} can't be reached and is tried again by the next query: {source}")]
    Unreachable {
        /// The database, without a password.
        database: String,
        /// What the connection says.
        source: sqlx::Error,
    },
    /// It did not answer in time.
    #[error(
        "database {database} did not answer within {seconds} s and is tried again by the next query"
    )]
    Timeout {
        /// The database, without a password.
        database: String,
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// All connections of this member's budget are taken.
    #[error(
        "{member:?} waited {seconds} s for one of its {connections} database connections: raise its budget, or let it ask less at once"
    )]
    Budget {
        /// The member; "" is the process itself.
        member: String,
        /// Connections that it may use at once.
        connections: u32,
        /// How long it waited, in seconds.
        seconds: u64,
    },
    /// A text has a character that Postgres can't store, so that no database takes it.
    #[error("a text for the database has a zero byte at {at}: leave it out")]
    ZeroByte {
        /// Where, in bytes from its start.
        at: usize,
    },
    /// A query failed.
    #[error("the database refused a query: {0}")]
    Query(#[source] sqlx::Error),
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pause, say so, and try again: the database is not there.
    Unreachable,
    /// Pause and try again: the database is there, this member's connections are all in use.
    Busy,
    /// Give up: a person has to change a setting, a permission or the version.
    Settings,
    /// Give up: this query is wrong.
    Refused,
}

impl Error {
    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => Kind::Unreachable,
            Self::Budget { .. } => Kind::Busy,
            Self::Url { .. }
            | Self::Open { .. }
            | Self::Tls { .. }
            | Self::Migrate { .. }
            | Self::Newer { .. } => Kind::Settings,
            Self::ZeroByte { .. } | Self::Query(_) => Kind::Refused,
        }
    }

    /// Whether the caller should pause and try again: the database is not there, or everything
    /// that this member may use of it is in use. [`Error::kind`] tells the two apart.
    pub fn is_unreachable(&self) -> bool {
        matches!(self.kind(), Kind::Unreachable | Kind::Busy)
    }

    /// Of a query on a connection that was there.
    pub(crate) fn of_query(database: &str, source: sqlx::Error) -> Self {
        if is_passing(&source) {
            Self::Unreachable {
                database: database.to_owned(),
                source,
            }
        } else {
            Self::Query(source)
        }
    }

    /// Of an attempt to get a connection.
    pub(crate) fn of_opening(database: &str, source: sqlx::Error) -> Self {
        let database = database.to_owned();
        let is_of_tls = match &source {
            sqlx::Error::Tls(_) => true,
            // A handshake that one side has refused, such as for a certificate.
            sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::InvalidData,
            _ => false,
        };
        if is_of_tls {
            Self::Tls { database, source }
        } else if is_passing(&source) {
            Self::Unreachable { database, source }
        } else {
            Self::Open { database, source }
        }
    }

    /// Of a migration.
    pub(crate) fn of_migration(database: &str, source: MigrateError) -> Self {
        match source {
            MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)
                if is_passing(&source) =>
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

/// Whether what failed may succeed when it is tried again later, with nothing changed but time.
fn is_passing(error: &sqlx::Error) -> bool {
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
                is_passing_in_postgres(&code)
            } else {
                is_passing_in_sqlite(&code)
            }
        }
        _ => false,
    }
}

/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn is_passing_in_postgres(code: &str) -> bool {
    // Class 08 is the connection, 53 a lack of resources (connections, memory, disk).
    code.starts_with("08")
        || code.starts_with("53")
        || matches!(
            code,
            // Stopped by an administrator, crashed, starting or stopping, its database dropped.
            "57P01" | "57P02" | "57P03" | "57P05"
            // The statement's time or the transaction's idle time is over, a lock was not free.
            | "57014" | "25P03" | "55P03"
            // Two transactions stood in each other's way.
            | "40001" | "40P01"
            // A standby that has not become the primary yet.
            | "25006"
        )
}

/// <https://www.sqlite.org/rescode.html>; the low byte is the code, the rest its refinement.
fn is_passing_in_sqlite(code: &str) -> bool {
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
    fn only_what_time_can_mend_is_tried_again() {
        let postgres = |code: &str, expected: bool| {
            assert_eq!(is_passing_in_postgres(code), expected, "{code}");
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
            assert_eq!(is_passing_in_sqlite(code), expected, "{code}");
        };
        sqlite("5", true);
        sqlite("517", true);
        sqlite("14", false);
        sqlite("2067", false);
        sqlite("26", false);
        assert!(is_passing(&sqlx::Error::PoolTimedOut));
        assert!(!is_passing(&sqlx::Error::RowNotFound));
    }

    #[test]
    fn a_spent_budget_is_told_from_a_lost_database() {
        let error = Error::Budget {
            member: "scanner".to_owned(),
            connections: 2,
            seconds: 3,
        };
        assert_eq!(error.kind(), Kind::Busy);
        assert!(error.is_unreachable());
        assert_eq!(
            error.to_string(),
            "\"scanner\" waited 3 s for one of its 2 database connections: raise its budget, or let it ask less at once"
        );
    }
}
