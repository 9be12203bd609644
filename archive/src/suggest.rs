//! Lists of known names for messages about an unknown one.

/// Maximum number of names in a list.
const LISTED: usize = 12;

/// The known name nearest to `wrong`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(
    wrong: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let near = known.into_iter().map(|name| {
        let distance = strsim::damerau_levenshtein(wrong, name);
        (distance, name)
    });
    near.filter(|(distance, name)| *distance <= name.len().max(wrong.len()) / 2)
        .min()
        .map(|(_, name)| name)
}

/// What to write instead of an unknown name: `did you mean web?`, or the known names: `services: api, web`.
pub(crate) fn hint<'a>(
    wrong: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    plural: &str,
) -> String {
    match nearest(wrong, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("{plural}: {}", list(wrong, known)),
    }
}

/// The known names with commas between them, those nearest to `wrong` first: `a, b and 3 more`.
pub(crate) fn list<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = known.into_iter().collect();
    names.sort_by_key(|name| (strsim::damerau_levenshtein(wrong, name), *name));
    let more = names.len().saturating_sub(LISTED);
    names.truncate(LISTED);
    let listed = names.join(", ");
    if more == 0 {
        listed
    } else {
        format!("{listed} and {more} more")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_comes_first_and_far_names_are_not_suggested() {
        let known = ["selector", "from", "until"];
        assert_eq!(nearest("selctor", known), Some("selector"));
        assert_eq!(nearest("zzzzzz", known), None);
        assert_eq!(list("form", known), "from, until, selector");
        let many: Vec<String> = (0..15).map(|at| format!("n{at:02}")).collect();
        let listed = list("n14", many.iter().map(String::as_str));
        assert!(listed.starts_with("n14, "), "{listed}");
        assert!(listed.ends_with(" and 3 more"), "{listed}");
    }
}
