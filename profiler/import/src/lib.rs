#![doc = include_str!("../README.md")]

mod austin;
mod builder;
mod cpu_profile;
mod decimal;
mod detect;
mod error;
mod folded;
mod format;
mod heap_profile;
mod import;
mod jfr;
mod json;
mod lines;
mod nodes;
#[cfg(test)]
mod outline;
mod perf_script;
mod speedscope;
mod text;
mod tree;
mod trie;
mod v8;

pub use detect::detect;
pub use error::Error;
pub use format::Format;
pub use import::{Import, Named, Options, Skipped};

/// Decodes an input in a format that [`detect`] returned or the sender stated. The input is not
/// compressed, except for the parts of a JFR upload, which may be.
///
/// Memory is bounded by a multiple of `options.limits`, whatever the input is.
pub fn decode(bytes: &[u8], format: Format, options: &Options<'_>) -> Result<Import, Error> {
    if bytes.is_empty() {
        return Err(Error::Empty);
    }
    if bytes.len() > options.limits.bytes {
        let limit = options.limits.bytes;
        return Err(davy_profile::Error::TooLarge { limit }.into());
    }
    match format {
        Format::Pprof => {
            let profile = davy_profile::pprof::decode(bytes, &options.limits)?;
            let name = String::new();
            Ok(Import {
                profiles: vec![Named { name, profile }],
                skipped: Skipped::default(),
            })
        }
        Format::Folded => folded::decode(bytes, options),
        Format::Lines => lines::decode(bytes, options),
        Format::Tree => tree::decode(bytes, options),
        Format::Trie => trie::decode(bytes, options),
        Format::Speedscope => speedscope::decode(text::decode(bytes).as_bytes(), options),
        Format::Jfr => jfr::decode(bytes, options),
        Format::PerfScript => perf_script::decode(bytes, options),
        Format::CpuProfile => cpu_profile::decode(text::decode(bytes).as_bytes(), options),
        Format::HeapProfile => heap_profile::decode(text::decode(bytes).as_bytes(), options),
    }
}
