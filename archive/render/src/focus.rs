//! Focus graphs: graphs of the stacks that contain a frame whose name matches.

use crate::stacks::Stacks;
use regex::{Regex, RegexBuilder};

/// Maximum memory of a compiled pattern, in bytes.
const REGEX_BYTES: usize = 1 << 20;
/// Maximum length of a name, in bytes.
const NAME_BYTES: usize = 40;

/// A focus: its name, and the pattern of the frames.
#[derive(Clone, Debug)]
pub struct Focus {
    name: String,
    pattern: Regex,
}

impl Focus {
    /// A focus. The name becomes a part of keys; letters, digits, `-` and `_` are permitted. The pattern matches a part of
    /// the name of a frame.
    pub fn new(name: &str, pattern: &str) -> Result<Self, String> {
        let is_letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(is_letter) {
            return Err(format!(
                "invalid name {name:?}: expected 1 to {NAME_BYTES} letters, digits, `-` and `_`"
            ));
        }
        let pattern = RegexBuilder::new(pattern).size_limit(REGEX_BYTES).build();
        Ok(Self {
            name: name.to_owned(),
            pattern: pattern.map_err(|error| error.to_string())?,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The stacks that contain a frame that matches; `None` if there are none.
    pub(crate) fn of(&self, stacks: &Stacks) -> Option<Stacks> {
        let is_match: Vec<bool> = stacks
            .names
            .iter()
            .map(|name| self.pattern.is_match(name))
            .collect();
        if !is_match.contains(&true) {
            return None;
        }
        let mut through = vec![false; stacks.len()];
        for node in 1..stacks.len() {
            through[node] =
                through[stacks.parents[node] as usize] || is_match[stacks.frames[node] as usize];
        }
        let mut focused = stacks.clone();
        for (value, is_through) in focused.values.iter_mut().zip(through) {
            if !is_through {
                *value = 0;
            }
        }
        (focused.total() > 0).then_some(focused)
    }
}
