//! What the database promises, checked on each database that there is.
//!
//! A check is a function that gets an empty database; [`conformance`] makes a test of it for each.
//! What only one of them can suffer stands in `postgres_faults` and `sqlite_faults`.

mod aborts;
mod audit;
mod backend;
mod budgets;
mod jobs;
mod postgres_faults;
mod postgres_tls;
mod processes;
mod proxy;
mod schema;
mod slots;
mod sqlite_faults;
mod ticks;
mod toggles;

/// A test of each check on each database.
macro_rules! conformance {
    ($($room:ident { $($check:ident)* })*) => {
        mod sqlite { $(mod $room { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                crate::backend::on_sqlite(crate::$room::$check).await;
            }
        )* })* }

        mod postgres { $(mod $room { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                crate::backend::on_postgres(crate::$room::$check).await;
            }
        )* })* }
    };
}

conformance! {
    processes {
        a_start_tells_of_the_one_before_that_never_ended
        processes_that_start_at_once_are_all_remembered
        live_processes_are_those_heard_of_lately
        a_report_of_an_unknown_process_is_refused
        processes_heard_of_least_recently_are_forgotten
    }
    toggles {
        a_toggle_and_its_audit_row_are_written_together
        a_change_whose_audit_row_is_refused_does_not_happen
        a_restart_leaves_a_toggle_as_it_is
        a_cleared_toggle_is_seen_by_those_who_poll
        a_poll_misses_no_change_of_concurrent_writers
    }
    audit {
        audit_rows_come_in_pages_the_newest_first
        old_audit_rows_are_forgotten
    }
    ticks {
        one_of_many_claims_a_tick
        a_tick_is_due_when_its_interval_is_over
        a_holder_whose_lease_ran_out_is_fenced_off
        a_holder_whose_lease_ran_out_cannot_finish
        a_late_holder_that_nobody_followed_keeps_its_lease
        a_wake_while_it_runs_is_remembered
        a_wake_before_the_first_claim_is_remembered
        a_failed_run_is_no_last_run
        a_run_that_was_stopped_is_due_at_once
        ticks_that_are_no_more_are_forgotten
    }
    slots {
        the_last_slot_goes_to_one
        slots_whose_time_is_over_are_free
        a_request_keeps_the_slot_that_it_has
    }
    jobs {
        thirty_six_thousand_jobs_load_in_seconds
        jobs_are_replaced_by_name_and_keep_their_ids
        jobs_are_in_the_same_order_on_every_database
        jobs_of_one_team_are_deleted_alone
    }
    schema {
        eight_who_migrate_at_once_make_one_schema
        a_newer_schema_is_refused
        a_database_that_was_not_migrated_refuses_queries_for_good
        the_clock_of_the_fleet_goes
        a_closed_store_is_unreachable
    }
    budgets {
        a_member_uses_no_more_than_its_budget
        figures_tell_member_and_operation_apart
    }
    aborts {
        a_change_dropped_at_any_point_happens_whole_or_not_at_all
        claims_dropped_at_any_point_leave_the_pool_whole
    }
}
