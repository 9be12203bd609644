//! Entry points: the script that a request runs.

/// The name of the script in the first frame of a stack: `index` of `/srv/mediawiki/w/index.php`. `None` if the frame
/// is not a script.
///
/// Arc Lamp takes the word before `.php` only if a slash is before it, so it has no tag for `index.php` and for
/// `load-es6.php`. Those have one here.
pub(crate) fn entry_point(first_frame: &str) -> Option<&str> {
    let script = &first_frame[..first_frame.rfind(".php")?];
    let name = script.rsplit(['/', '\\']).next()?;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    (!name.is_empty() && name.chars().all(is_word)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::entry_point;

    #[test]
    fn script_names_with_and_without_slash_or_hyphen_are_entry_points() {
        let cases = [
            ("/srv/mediawiki/w/index.php", Some("index")),
            ("index.php", Some("index")),
            ("/srv/w/load-es6.php", Some("load-es6")),
            ("/srv/rpc/RunSingleJob.php", Some("RunSingleJob")),
            ("C:\\www\\api.php", Some("api")),
            ("/srv/w/api.php5", Some("api")),
            ("{closure:/srv/w/index.php(5)}", Some("index")),
            ("excimer_truncated", None),
            ("A::b", None),
            ("/.php", None),
            ("", None),
        ];
        for (frame, expected) in cases {
            assert_eq!(entry_point(frame), expected, "{frame}");
        }
    }
}
