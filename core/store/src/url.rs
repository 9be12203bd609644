//! Which database a URL names.

use crate::Error;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use std::str::FromStr;
use std::time::Duration;

/// How long a writer of SQLite waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// Memory of a SQLite connection for pages, negative for KiB as SQLite wants it. The kernel keeps the
/// pages as well, once for all connections.
const CACHE_KIB: i32 = -512;

/// Postgres's side of the bounds on waiting, so that a client that vanished leaves no lock behind:
/// a statement, a transaction between two statements, and a peer that no longer answers.
const POSTGRES_BOUNDS: [(&str, &str); 5] = [
    ("statement_timeout", "8s"),
    ("idle_in_transaction_session_timeout", "8s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// A database that is understood, but not connected to.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Target {
    /// Reads `sqlite:PATH` or `postgres://USER@HOST/NAME`.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let failed = |why: &dyn std::fmt::Display| Error::Url {
            url: without_password(url),
            why: why.to_string(),
        };
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)
                .map_err(|error| failed(&error))?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("cache_size", CACHE_KIB.to_string())
                .disable_statement_logging();
            return Ok(Self::Sqlite(options));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(|error| failed(&error))?
                .application_name("davy")
                .options(POSTGRES_BOUNDS)
                .disable_statement_logging();
            return Ok(Self::Postgres(options));
        }
        Err(failed(&"no other kind is built in"))
    }

    /// The database's name in messages: nothing of it is secret.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Sqlite(options) => format!("sqlite:{}", options.get_filename().display()),
            Self::Postgres(options) => {
                let host = options.get_socket().map_or_else(
                    || options.get_host().to_owned(),
                    |socket| socket.display().to_string(),
                );
                format!(
                    "postgres://{}@{host}:{}/{}",
                    options.get_username(),
                    options.get_port(),
                    options.get_database().unwrap_or(options.get_username()),
                )
            }
        }
    }
}

/// A database's URL for people: what stands between the user's name and the last `@` of the authority
/// becomes `***`.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    // A password may hold an unescaped slash, by mistake; then everything up to the last @ is cut.
    let Some(at) = rest[..end].rfind('@').or_else(|| rest.rfind('@')) else {
        return url.to_owned();
    };
    match rest[..at].split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:***{}", &rest[at..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_stay_out_of_messages() {
        let check = |url: &str, expected: &str| assert_eq!(without_password(url), expected);
        check(
            "postgres://davy:secret@db:1/x",
            "postgres://davy:***@db:1/x",
        );
        check("postgres://davy:sec/ret@db/x", "postgres://davy:***@db/x");
        check("mysql://a:b@c", "mysql://a:***@c");
        check("postgres://davy@db/x", "postgres://davy@db/x");
        check("sqlite:davy.db", "sqlite:davy.db");
        let target = Target::parse("postgres://davy:secret@db:5433/x").expect("it is understood");
        assert_eq!(target.name(), "postgres://davy@db:5433/x");
    }

    #[test]
    fn a_url_of_another_kind_is_refused_with_the_kinds_there_are() {
        let check = |url: &str, expected: &str| {
            let error = Target::parse(url)
                .expect_err("it is not understood")
                .to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            "mysql://x",
            "database \"mysql://x\" is not understood: write sqlite:PATH or postgres://",
        );
        check("davy.db", "database \"davy.db\" is not understood: ");
        check(
            "postgres://a:secret@b:port/c",
            "database \"postgres://a:***@b:port/c\" is not understood: ",
        );
        check(
            "sqlite:davy.db?mode=odd",
            "database \"sqlite:davy.db?mode=odd\" is not understood: ",
        );
    }
}
