//! Checks that every string index is in the table.

use crate::{Error, LabelSetId, LabelValue, Profile, StringId};

/// Rejects a profile that refers to a string it does not have.
pub(super) fn check(profile: &Profile) -> Result<(), Error> {
    let count = profile.strings.len() as u32;
    let check = |what, index: usize, ids: &[StringId]| match ids.iter().find(|id| id.0 >= count) {
        Some(id) => Err(Error::Dangling {
            what,
            index,
            target: "string",
            id: u64::from(id.0),
        }),
        None => Ok(()),
    };
    for (i, f) in profile.functions.iter().enumerate() {
        check("function", i, &[f.name, f.system_name, f.file])?;
    }
    for (i, m) in profile.mappings.iter().enumerate() {
        check("mapping", i, &[m.file, m.build_id])?;
    }
    for (i, t) in profile
        .sample_types
        .iter()
        .chain([&profile.period_type])
        .enumerate()
    {
        check("sample type", i, &[t.kind, t.unit])?;
    }
    for set in 0..profile.label_sets.len() {
        for label in profile.label_sets.get(LabelSetId(set as u32)) {
            let (LabelValue::Text(value) | LabelValue::Number(_, value)) = label.value;
            check("label", set, &[label.key, value])?;
        }
    }
    check("comment", 0, &profile.comments)?;
    let single = [
        profile.default_sample_type,
        profile.drop_frames,
        profile.keep_frames,
        profile.doc_url,
    ];
    check("profile", 0, &single)
}
