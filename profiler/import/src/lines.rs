//! Stacks without counts: one line for each sample, `root;caller;leaf`.

use crate::builder::Builder;
use crate::{Error, Format, Import, Options, Skipped, text};
use davy_profile::LabelSetId;

/// Decodes lines. Equal lines are added up.
pub(crate) fn decode(bytes: &[u8], options: &Options<'_>) -> Result<Import, Error> {
    let text = text::decode(bytes);
    let mut builder = Builder::counts(options);
    for (_, line) in text::lines(&text) {
        if line.is_empty() || text::comment(line).is_some() {
            continue;
        }
        let node = builder.stack(line.split(';'))?;
        builder.add(node, LabelSetId(0), &[options.scale])?;
    }
    if builder.is_empty() {
        return Err(Error::Line {
            format: Format::Lines,
            line: 1,
            problem: "no stacks",
        });
    }
    Ok(Import {
        profiles: vec![builder.finish()],
        skipped: Skipped::default(),
    })
}
