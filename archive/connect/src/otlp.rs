//! OTLP profiles: the signal of OpenTelemetry, as its collector, its eBPF profiler and Alloy send it.
//!
//! The labels of a series are the attributes of the resource, of the scope and of the profile, those of a sample are its
//! attributes and the ids of its link; characters other than letters, digits and `_` in names become `_`
//! ([`labels`]). The rest of a profile is that of pprof ([`convert`]).

mod convert;
mod http;
mod labels;
mod messages;
mod profile;
mod samples;

pub(crate) use http::routes;
