//! Merges several scrapes into one: each family once, with the samples of all.

use std::collections::BTreeMap;

#[derive(Default)]
struct Family {
    /// `# HELP` and `# TYPE` of the first text that has the family.
    head: String,
    samples: String,
}

/// Merges texts. Their samples differ in the label `process`, so no sample is a duplicate.
pub(super) fn merge(texts: impl Iterator<Item = String>) -> String {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for text in texts {
        let mut name = String::new();
        let mut is_first = false;
        for line in text.lines() {
            let comment = line
                .strip_prefix("# HELP ")
                .or_else(|| line.strip_prefix("# TYPE "));
            if let Some(comment) = comment {
                let family = comment.split(' ').next().unwrap_or("");
                if family != name {
                    family.clone_into(&mut name);
                    is_first = !families.contains_key(family);
                }
                let family = families.entry(name.clone()).or_default();
                if is_first {
                    family.head.push_str(line);
                    family.head.push('\n');
                }
                continue;
            }
            let family = families.entry(name.clone()).or_default();
            family.samples.push_str(line);
            family.samples.push('\n');
        }
    }
    let blocks = families.into_values();
    blocks.map(|family| family.head + &family.samples).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_family_of_two_processes_is_described_once() {
        let text = |process: &str| {
            format!(
                "# HELP a_total A.\n# TYPE a_total counter\na_total{{process=\"{process}\"}} 1\n# HELP b B.\n# TYPE b gauge\nb{{process=\"{process}\"}} 2\n"
            )
        };
        let merged = merge([text("x"), text("y")].into_iter());
        assert_eq!(
            merged,
            "# HELP a_total A.\n# TYPE a_total counter\na_total{process=\"x\"} 1\na_total{process=\"y\"} 1\n\
             # HELP b B.\n# TYPE b gauge\nb{process=\"x\"} 2\nb{process=\"y\"} 2\n"
        );
    }
}
