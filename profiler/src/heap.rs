//! Heap profiles.

use crate::aggregate::{Aggregate, Filter};
use crate::stats::HeapStats;

pub(crate) struct Totals;
impl Totals { pub(crate) fn now() -> Self { Self } }
pub(crate) struct State { pub(crate) rate_bytes: i64 }
pub(crate) fn state() -> Result<State, &'static str> { Err("not built") }
pub(crate) fn start() -> Result<(), &'static str> { Err("not built") }
pub(crate) fn stop() {}
pub(crate) fn stats() -> HeapStats { HeapStats::default() }
pub(crate) fn snapshot(_: &mut Aggregate, _: &Filter, _: Option<&mut Totals>) {}
