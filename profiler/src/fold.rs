//! Removes the arguments of generic functions and types from names.

/// `name` with `<..>` for every list of generic arguments. Angle brackets around a path
/// (`<T as Trait>::method`) stay, and the path within is folded.
pub(crate) fn fold_generics(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let bytes = name.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let is_list = bytes[at] == b'<' && at > 0 && follows_a_name(bytes[at - 1]);
        if let Some(end) = closing(bytes, at).filter(|_| is_list) {
            out.push_str("<..>");
            at = end + 1;
        } else {
            let next = name[at..].chars().next().map_or(1, char::len_utf8);
            out.push_str(&name[at..at + next]);
            at += next;
        }
    }
    out
}

/// `Vec<` and `call::<` start a list; `<T as`, `&<T as` and `(<T as` start a path.
fn follows_a_name(before: u8) -> bool {
    before.is_ascii_alphanumeric() || matches!(before, b'_' | b':' | b'}') || before >= 0x80
}

/// The position of the bracket that closes the one at `at`. The `>` of an arrow is not a bracket.
fn closing(bytes: &[u8], at: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, byte) in bytes.iter().enumerate().skip(at) {
        match byte {
            b'<' => depth += 1,
            b'>' if bytes[index - 1] != b'-' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generic_argument_lists_are_folded_and_paths_are_kept() {
        let check = |name, expected| assert_eq!(fold_generics(name), expected);
        check(
            "core::ptr::drop_in_place<alloc::vec::Vec<u8>>",
            "core::ptr::drop_in_place<..>",
        );
        check(
            "<alloc::vec::Vec<u8> as core::iter::Extend<&u8>>::extend::<&[u8; 3]>",
            "<alloc::vec::Vec<..> as core::iter::Extend<..>>::extend::<..>",
        );
        check(
            "call::<fn(u8) -> Vec<u8>>::{closure#0}",
            "call::<..>::{closure#0}",
        );
        check("main", "main");
        check("operator<", "operator<");
        check("größe<T>", "größe<..>");
    }
}
