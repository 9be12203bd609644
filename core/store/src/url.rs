//! Parses database URLs.

use crate::Error;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
use std::str::FromStr;
use std::time::Duration;

/// How long a SQLite transaction waits for another writer before it fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(3);

/// Page cache of a SQLite connection; SQLite reads a negative number as KiB. It can be small because
/// the kernel caches the pages too, once for all connections.
const CACHE_KIB: i32 = -512;

/// Time limits that the Postgres server enforces, so that a client that has vanished holds no locks:
/// for a statement, for a transaction that is idle, and for a peer that does not respond.
const POSTGRES_BOUNDS: [(&str, &str); 5] = [
    ("statement_timeout", "8s"),
    ("idle_in_transaction_session_timeout", "8s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
];

/// A parsed database URL.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Target {
    /// Parses `sqlite:PATH` or `postgres://USER@HOST/NAME`.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        let invalid = |source: sqlx::Error| Error::Url {
            url: without_password(url),
            source,
        };
        if url.starts_with("sqlite:") {
            let options = SqliteConnectOptions::from_str(url)
                .map_err(invalid)?
                .create_if_missing(true)
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(BUSY_TIMEOUT)
                .pragma("cache_size", CACHE_KIB.to_string())
                .disable_statement_logging();
            return Ok(Self::Sqlite(options));
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url)
                .map_err(invalid)?
                .application_name("davy")
                .options(POSTGRES_BOUNDS)
                .disable_statement_logging();
            return Ok(Self::Postgres(options));
        }
        Err(Error::Scheme {
            url: without_password(url),
        })
    }

    /// The URL without its password, for messages. It has a user only if `url` has one.
    pub(crate) fn name(&self, url: &str) -> String {
        match self {
            Self::Sqlite(options) => format!("sqlite:{}", options.get_filename().display()),
            Self::Postgres(options) => {
                let host = options.get_socket().map_or_else(
                    || options.get_host().to_owned(),
                    |socket| socket.display().to_string(),
                );
                let user = if url.contains('@') {
                    format!("{}@", options.get_username())
                } else {
                    String::new()
                };
                format!(
                    "postgres://{user}{host}:{}/{}",
                    options.get_port(),
                    options.get_database().unwrap_or(options.get_username()),
                )
            }
        }
    }
}

/// The URL with its password replaced by `***`. The password is everything between the user's name and
/// the last `@` of the authority.
pub fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    // If the password contains an unescaped slash, everything up to the last @ of the URL is replaced.
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
    fn messages_contain_no_password() {
        let check = |url: &str, expected: &str| assert_eq!(without_password(url), expected);
        check(
            "postgres://davy:secret@db:1/x",
            "postgres://davy:***@db:1/x",
        );
        check("postgres://davy:sec/ret@db/x", "postgres://davy:***@db/x");
        check("mysql://a:b@c", "mysql://a:***@c");
        check("postgres://davy@db/x", "postgres://davy@db/x");
        check("sqlite:davy.db", "sqlite:davy.db");
        let name = |url: &str| Target::parse(url).expect("a valid URL").name(url);
        assert_eq!(
            name("postgres://davy:secret@db:5433/x"),
            "postgres://davy@db:5433/x"
        );
        assert_eq!(name("postgres://db/x"), "postgres://db:5432/x");
    }

    #[test]
    fn invalid_urls_are_rejected_with_the_supported_forms() {
        let check = |url: &str, expected: &str| {
            let error = Target::parse(url).expect_err("an invalid URL").to_string();
            assert!(error.starts_with(expected), "{error}");
        };
        check(
            "mysql://x",
            "unsupported database URL \"mysql://x\": expected sqlite:PATH or postgres://USER@HOST/NAME",
        );
        check("davy.db", "unsupported database URL \"davy.db\": expected ");
        check(
            "postgres://a:secret@b:port/c",
            "invalid database URL \"postgres://a:***@b:port/c\": ",
        );
        check(
            "sqlite:davy.db?mode=odd",
            "invalid database URL \"sqlite:davy.db?mode=odd\": ",
        );
    }
}
