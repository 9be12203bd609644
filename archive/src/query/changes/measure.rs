//! What is compared.

use crate::types::TypeFilter;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::query) enum Measure {
    Cpu,
    Heap,
    Allocations,
    Requests,
    Errors,
    P99,
}

impl Measure {
    /// All measures.
    pub(in crate::query) const ALL: [Self; 6] = [
        Self::Cpu,
        Self::Heap,
        Self::Allocations,
        Self::Requests,
        Self::Errors,
        Self::P99,
    ];

    /// The name in responses.
    pub(in crate::query) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Heap => "heap",
            Self::Allocations => "allocations",
            Self::Requests => "requests",
            Self::Errors => "errors",
            Self::P99 => "p99",
        }
    }

    /// The unit in responses.
    pub(in crate::query) fn unit(self) -> &'static str {
        match self {
            Self::Cpu => "cores",
            Self::Heap => "bytes",
            Self::Allocations => "bytes/s",
            Self::Requests | Self::Errors => "1/s",
            Self::P99 => "seconds",
        }
    }

    /// The short name of the profile type that it is read from.
    pub(in crate::query) fn short_type(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Heap => "heap",
            Self::Allocations => "allocs",
            Self::Requests | Self::P99 => "requests",
            Self::Errors => "errors",
        }
    }

    /// The types that it is read from.
    pub(super) fn filter(self) -> Option<TypeFilter> {
        TypeFilter::parse(self.short_type())
    }

    /// The value of a sum over `seconds`, in its unit. Averages are in bytes already.
    pub(super) fn scaled(self, value: f64, seconds: f64) -> f64 {
        match self {
            Self::Cpu => value / 1e9 / seconds,
            Self::Heap | Self::P99 => value,
            Self::Allocations | Self::Requests | Self::Errors => value / seconds,
        }
    }

    /// Whether values of groups add up.
    pub(super) fn is_sum(self) -> bool {
        self != Self::P99
    }
}
