//! The same suite in every placement, on both databases.

use crate::database::Database;
use crate::fleet::{Fleet, Placement};
use crate::suite::check;

fn on_sqlite(placement: Placement) {
    check(Fleet::start(placement, Database::Sqlite));
}

fn on_postgres(placement: Placement) {
    check(Fleet::start(placement, Database::postgres()));
}

#[test]
fn one_process_passes_on_sqlite() {
    on_sqlite(Placement::One);
}

#[test]
fn one_process_passes_on_postgres() {
    on_postgres(Placement::One);
}

#[test]
fn a_command_for_each_kind_passes_on_sqlite() {
    on_sqlite(Placement::Kinds);
}

#[test]
fn a_command_for_each_kind_passes_on_postgres() {
    on_postgres(Placement::Kinds);
}

#[test]
fn every_member_isolated_passes_on_sqlite() {
    on_sqlite(Placement::Isolated);
}

#[test]
fn every_member_isolated_passes_on_postgres() {
    on_postgres(Placement::Isolated);
}

#[test]
fn a_split_quickstart_passes_on_sqlite() {
    on_sqlite(Placement::Split);
}

#[test]
fn a_split_quickstart_passes_on_postgres() {
    on_postgres(Placement::Split);
}

#[test]
fn two_frontends_and_two_backends_pass_on_sqlite() {
    on_sqlite(Placement::Fleet);
}

#[test]
fn two_frontends_and_two_backends_pass_on_postgres() {
    on_postgres(Placement::Fleet);
}
