//! Answers stay the same while hours are merged into day blocks and finer levels are deleted.
#![allow(clippy::type_complexity, reason = "stacks are written as literals")]

mod answers;
mod changes;
mod damage;
pub(crate) mod days;
mod months;
mod rules;
mod work;
