//! Service names and labels of pushed profiles, as the command line accepts them.

use davy_archive::labels::SERVICE;

/// Characters that separate the service name and the labels in the `name` parameter of a push.
pub(crate) const RESERVED: [char; 4] = ['{', '}', ',', '='];

/// Parses a service name.
pub(crate) fn service(text: &str) -> Result<String, String> {
    let name = text.trim();
    if name.is_empty() {
        return Err("a service name must not be empty".to_owned());
    }
    without_reserved(name)
}

/// Parses `NAME=VALUE`.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    let Some((name, value)) = text.split_once('=') else {
        return Err("expected NAME=VALUE".to_owned());
    };
    let is_valid_start = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !is_valid_start || !name.chars().all(is_valid) || name.contains("..") {
        return Err(format!(
            "invalid label name {name:?}: it must start with a letter or `_` and contain only letters, digits, `_`, `-` and single dots"
        ));
    }
    let value = if name == SERVICE {
        service(value)?
    } else {
        without_reserved(value)?
    };
    Ok((name.to_owned(), value))
}

/// Rejects a text with a reserved character.
fn without_reserved(text: &str) -> Result<String, String> {
    match text.find(RESERVED) {
        Some(at) => Err(format!(
            "{text:?} contains {:?}; braces, commas and equal signs are not supported",
            &text[at..=at]
        )),
        None => Ok(text.to_owned()),
    }
}

/// Names and values of labels.
pub(crate) type Labels = Vec<(String, String)>;

/// The service and the remaining labels. `service_name` among the labels names the service; it is an
/// error if `--service` names another one.
pub(crate) fn split_service(
    service: Option<&str>,
    labels: &[(String, String)],
) -> Result<(Option<String>, Labels), String> {
    let mut service = service.map(str::to_owned);
    let mut from_label = false;
    let mut rest = Labels::new();
    for (name, value) in labels {
        if name != SERVICE {
            rest.push((name.clone(), value.clone()));
            continue;
        }
        match &service {
            Some(other) if other != value => {
                let option = if from_label {
                    format!("--label {SERVICE}={other}")
                } else {
                    format!("--service {other}")
                };
                return Err(format!(
                    "--label {SERVICE}={value} conflicts with {option}; pass one of them"
                ));
            }
            _ => service = Some(value.clone()),
        }
        from_label = true;
    }
    Ok((service, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_name_with_a_space_is_refused_with_the_rule() {
        let error = label("ver sion=1").expect_err("a space is invalid");
        assert!(error.contains("\"ver sion\""), "{error}");
        assert!(error.contains("letters, digits, `_`, `-`"), "{error}");
        for text in ["=1", "1a=2", "a..b=1", "version", "a/b=1"] {
            assert!(label(text).is_err(), "{text}");
        }
        let parsed = label("service.version=1.2 beta");
        let expected = ("service.version".to_owned(), "1.2 beta".to_owned());
        assert_eq!(parsed, Ok(expected));
    }

    #[test]
    fn empty_service_is_refused() {
        for text in ["", "  "] {
            assert!(service(text).is_err(), "{text:?}");
            assert!(label(&format!("service_name={text}")).is_err(), "{text:?}");
        }
        assert_eq!(service("shop"), Ok("shop".to_owned()));
        assert!(service("a{b").is_err());
    }

    #[test]
    fn service_label_sets_the_service_and_a_second_name_conflicts() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let labels = [pair("service_name", "shop"), pair("version", "1")];
        let expected = (Some("shop".to_owned()), vec![pair("version", "1")]);
        assert_eq!(split_service(None, &labels), Ok(expected.clone()));
        assert_eq!(split_service(Some("shop"), &labels), Ok(expected));
        assert_eq!(
            split_service(Some("bank"), &labels),
            Err(
                "--label service_name=shop conflicts with --service bank; pass one of them"
                    .to_owned()
            )
        );
        let twice = [pair("service_name", "a"), pair("service_name", "b")];
        assert!(split_service(None, &twice).is_err());
    }
}
