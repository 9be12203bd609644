//! Options of a renderer.

use crate::focus::Focus;
use davy_archive::plan::Policy;
use davy_archive::plan::retention::Retention;
use davy_base::{Clock, Random};
use std::time::Duration;

/// Options of a renderer. Start from the defaults and change fields.
#[derive(Clone, Debug)]
pub struct RenderOptions {
    /// Source of time and timers.
    pub clock: Clock,
    /// Source of randomness, for the name of this renderer.
    pub random: Random,
    /// Time between two rounds.
    pub interval: Duration,
    /// When an hour is closed.
    pub policy: Policy,
    /// How long graphs are kept: those of an hour as sums by hour, those of a day as sums by day. Rounds look at the days
    /// that can still get late windows.
    pub levels: Retention,
    /// Maximum age of a pushed window.
    pub accepted: Duration,
    /// Maximum number of members, and of operations, of a service and type that have graphs of their own; the largest.
    pub members: usize,
    /// Maximum number of nodes of the stacks of a service and type; the smallest are folded into their callers.
    pub nodes: usize,
    /// Whether each operation (label `op`) has graphs.
    pub has_operations: bool,
    /// The graphs of stacks through some functions.
    pub focus: Vec<Focus>,
    /// The address of Davy's page, to which graphs link; none without it.
    pub page_url: Option<String>,
}

impl Default for RenderOptions {
    fn default() -> Self {
        Self {
            clock: Clock::system(),
            random: Random::system(),
            interval: Duration::from_mins(1),
            policy: Policy::default(),
            levels: Retention::default(),
            accepted: Duration::from_hours(14 * 24),
            members: 30,
            nodes: 2_000_000,
            has_operations: false,
            focus: Vec::new(),
            page_url: None,
        }
    }
}
