//! What the store guarantees, checked on both databases.
//!
//! A check is a function that gets an empty database; [`conformance`] makes a test of it for each
//! database. Faults that only one database can have are in `postgres_faults` and `sqlite_faults`.
//!
//! The stores of a check run with clocks that differ by ten minutes, as those of hosts may.

mod aborts;
mod audit;
mod backend;
mod budgets;
mod builds;
mod fleet;
mod jobs;
mod marks;
mod postgres_faults;
mod postgres_tls;
mod processes;
mod proxy;
mod schema;
mod slots;
mod sqlite_faults;
mod terminals;
mod ticks;
mod toggles;
mod views;
mod worker_sync;
mod workers;

/// A test for each check and database.
macro_rules! conformance {
    ($($module:ident { $($check:ident)* })*) => {
        mod sqlite { $(mod $module { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                crate::backend::on_sqlite(crate::$module::$check).await;
            }
        )* })* }

        mod postgres { $(mod $module { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                crate::backend::on_postgres(crate::$module::$check).await;
            }
        )* })* }
    };
}

conformance! {
    processes {
        start_returns_the_previous_process_that_did_not_stop
        concurrent_starts_are_all_recorded
        live_processes_reported_recently_and_did_not_stop
        liveness_does_not_depend_on_the_clocks_of_hosts
        report_of_an_unknown_process_is_rejected
        processes_silent_for_longest_are_deleted
    }
    toggles {
        toggle_and_audit_row_are_written_together
        change_has_the_time_of_the_database_minus_its_age
        toggle_is_rolled_back_if_its_audit_row_is_rejected
        restart_does_not_change_the_toggle
        poll_returns_cleared_toggles
        poll_misses_no_change_of_concurrent_writers
    }
    audit {
        audit_rows_are_paged_newest_first
        old_audit_rows_are_deleted
    }
    ticks {
        one_of_many_concurrent_claims_succeeds
        tick_is_due_after_its_interval
        expired_holder_cannot_renew_or_finish_after_another_claim
        expired_holder_cannot_finish
        expired_lease_can_be_renewed_if_unclaimed
        wake_during_a_run_causes_one_more_run
        wake_before_the_first_claim_is_kept
        failed_run_does_not_count_as_last_run
        stopped_run_is_due_immediately
        ticks_of_removed_members_are_deleted
    }
    slots {
        concurrent_requests_never_exceed_the_limit
        expired_slots_are_free
        request_keeps_its_slot_when_it_takes_it_again
        fast_clock_of_a_host_frees_no_live_slot
        slot_expires_on_time_even_if_the_clock_of_its_host_is_wrong
    }
    jobs {
        thirty_six_thousand_jobs_load_and_read_back
        jobs_are_replaced_by_name_and_keep_their_ids
        jobs_are_sorted_alike_on_every_database
        deleting_the_jobs_of_a_team_leaves_others
    }
    workers {
        challenge_is_answered_once_and_only_with_the_current_key
        later_registration_replaces_the_earlier_one
        revoked_key_ends_the_session
        workers_land_and_retire
    }
    worker_sync {
        sync_agrees_with_the_model_in_random_histories
        sync_takes_at_most_four_statements_whatever_the_number_of_handles
        report_does_not_read_the_doomed_rows_of_other_workers
        stale_report_changes_nothing
        foreign_handles_are_named_and_untouched
        concurrent_reports_of_one_worker_follow_each_other
        stalled_worker_returns_with_everything_that_it_has
        worker_with_more_handles_than_a_report_has_nothing_missing_and_is_swept
    }
    marks {
        marks_of_containers_and_volumes_agree_with_the_model
        marks_of_workers_agree_with_the_model
        marks_of_builds_agree_with_the_model
        batches_are_bounded
        concurrent_markers_and_reports_do_not_fail
        marking_makes_no_claim_of_a_build_wait_for_a_lock
        marking_advances_past_builds_that_it_has_marked
    }
    builds {
        build_is_claimed_once_by_many_concurrent_workers
        claim_respects_capacity_platform_and_tags
        outdated_holder_cannot_change_a_build
        log_chunks_are_stored_once_and_bounded
        rows_of_a_log_are_folded_into_an_object_and_deleted_after_it
        restarted_worker_adopts_the_builds_whose_tasks_it_still_has
        leaving_worker_gives_back_what_it_has_not_received
        abort_reaches_pending_and_started_builds
        build_leaves_no_row_behind
        files_are_read_back_and_bounded
    }
    fleet {
        backlog_counts_what_collectors_and_workers_have_to_do
        lists_are_filtered_by_state_and_worker
        sums_are_of_the_last_reports
        container_has_the_figures_of_the_last_report
        usage_of_a_worker_never_replaces_another_process
    }
    views {
        views_of_a_tenant_are_listed_newest_first
        number_of_views_of_a_tenant_is_limited
        view_is_deleted_by_its_tenant_only
    }
    terminals {
        terminal_passes_bytes_on_in_both_directions_once
        unused_terminal_is_removed_with_what_was_sent
    }
    schema {
        concurrent_migrations_create_one_schema
        newer_schema_is_rejected
        unmigrated_database_rejects_queries
        fleet_clock_advances_and_ignores_the_host
        closed_store_is_unreachable
    }
    budgets {
        member_uses_at_most_its_budget
        stats_separate_members_and_operations
    }
    aborts {
        change_dropped_at_any_point_is_atomic
        claims_dropped_at_any_point_leak_no_connection
    }
}
