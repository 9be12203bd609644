//! Field numbers of the message `Profile`.

pub(super) const SAMPLE_TYPE: u64 = 1;
pub(super) const SAMPLE: u64 = 2;
pub(super) const MAPPING: u64 = 3;
pub(super) const LOCATION: u64 = 4;
pub(super) const FUNCTION: u64 = 5;
pub(super) const STRING_TABLE: u64 = 6;
pub(super) const DROP_FRAMES: u64 = 7;
pub(super) const KEEP_FRAMES: u64 = 8;
pub(super) const TIME_NANOS: u64 = 9;
pub(super) const DURATION_NANOS: u64 = 10;
pub(super) const PERIOD_TYPE: u64 = 11;
pub(super) const PERIOD: u64 = 12;
pub(super) const COMMENT: u64 = 13;
pub(super) const DEFAULT_SAMPLE_TYPE: u64 = 14;
pub(super) const DOC_URL: u64 = 15;
