//! The suite in every placement, on both databases. Each check is a test with a fleet of its own.

use crate::database::Database;
use crate::fleet::{Fleet, Placement};
use crate::suite;

/// The tests of the suite for one placement and database.
macro_rules! suite {
    ($($name:ident: $placement:ident, $database:expr;)*) => {$(
        mod $name {
            use super::{Database, Fleet, Placement, suite};

            fn run(check: impl FnOnce(&mut Fleet)) {
                let mut fleet = Fleet::start(Placement::$placement, $database);
                check(&mut fleet);
                fleet.stop();
            }

            #[test]
            fn page_is_served() {
                run(suite::page_is_served);
            }

            #[test]
            fn pushed_profile_is_found_on_every_frontend_and_archiver() {
                run(suite::pushed_profile_is_found_on_every_frontend_and_archiver);
            }

            #[test]
            fn member_is_listed_once_per_host() {
                run(suite::member_is_listed_once_per_host);
            }

            #[test]
            fn metrics_cover_every_member() {
                run(suite::metrics_cover_every_member);
            }

            #[test]
            fn endpoint_is_disabled_and_enabled() {
                run(suite::endpoint_is_disabled_and_enabled);
            }

            #[test]
            fn limit_holds_across_frontends() {
                run(suite::limit_holds_across_frontends);
            }

            #[test]
            fn periodic_member_ticks_once_per_interval_in_the_fleet() {
                run(suite::periodic_member_ticks_once_per_interval_in_the_fleet);
            }

            #[test]
            fn member_restarts_on_every_host() {
                run(suite::member_restarts_on_every_host);
            }

            #[test]
            fn disabled_member_stays_disabled_after_a_restart() {
                run(suite::disabled_member_stays_disabled_after_a_restart);
            }

            #[test]
            fn changes_are_in_the_audit_log() {
                run(suite::changes_are_in_the_audit_log);
            }

            #[test]
            fn normal_operation_logs_no_warning() {
                run(suite::normal_operation_logs_no_warning);
            }
        }
    )*};
}

suite! {
    one_process_on_sqlite: One, Database::Sqlite;
    one_process_on_postgres: One, Database::postgres();
    a_process_per_kind_on_sqlite: Kinds, Database::Sqlite;
    a_process_per_kind_on_postgres: Kinds, Database::postgres();
    isolated_members_on_sqlite: Isolated, Database::Sqlite;
    isolated_members_on_postgres: Isolated, Database::postgres();
    split_quickstart_on_sqlite: Split, Database::Sqlite;
    split_quickstart_on_postgres: Split, Database::postgres();
    two_frontends_and_two_backends_on_sqlite: Fleet, Database::Sqlite;
    two_frontends_and_two_backends_on_postgres: Fleet, Database::postgres();
}
