//! Profiles as text, for tests.

use crate::{Import, Named};
use davy_profile::LabelValue;

/// Name and types of each profile, then its samples in order: stack, values, labels.
pub(crate) fn outline(import: &Import) -> String {
    import.profiles.iter().map(profile).collect()
}

fn profile(named: &Named) -> String {
    let profile = &named.profile;
    let types: Vec<_> = profile
        .sample_types
        .iter()
        .map(|t| format!("{}:{}", profile.text(t.kind), profile.text(t.unit)))
        .collect();
    let mut out = format!("[{} {}]\n", named.name, types.join(" "));
    for sample in 0..profile.sample_count() {
        let mut frames: Vec<_> = profile
            .stacks
            .leaf_to_root(profile.samples.stacks[sample])
            .map(|location| {
                let line = profile.lines_of(&profile.locations[location as usize])[0];
                let function = profile.functions[line.function as usize];
                let place = match (profile.text(function.file), line.line) {
                    ("", 0) => String::new(),
                    (file, line) => format!("@{file}:{line}"),
                };
                format!("{}{place}", profile.text(function.name))
            })
            .collect();
        frames.reverse();
        let values: Vec<_> = profile.values(sample).iter().map(i64::to_string).collect();
        out.push_str(&format!("{} {}", frames.join(";"), values.join(",")));
        for label in profile.label_sets.get(profile.samples.labels[sample]) {
            if let LabelValue::Text(value) = label.value {
                out.push_str(&format!(
                    " {}={}",
                    profile.text(label.key),
                    profile.text(value)
                ));
            }
        }
        out.push('\n');
    }
    out
}
