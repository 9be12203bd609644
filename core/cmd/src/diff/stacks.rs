//! Trees of folded stacks.

use crate::failure::Failure;
use davy_profile::flame::Grain;
use davy_profile::{FlameTree, Limits, folded};

/// The tree of folded stacks from the archive.
pub(crate) fn parsed(stacks: &[u8]) -> Result<FlameTree, Failure> {
    let mut tree = FlameTree::new();
    if stacks.trim_ascii().is_empty() {
        return Ok(tree);
    }
    let limits = Limits {
        bytes: usize::MAX,
        nodes: usize::MAX,
        samples: usize::MAX,
        ..Limits::default()
    };
    let profile = folded::decode(stacks, &limits)
        .map_err(Failure::because("the response is not folded stacks"))?;
    tree.add_profile(&profile, 0, Grain::Function);
    Ok(tree)
}
