//! What the page knows about the code of services.

use super::error::Error;
use super::load::Loaded;
use super::settings::VIEWER;
use davy_control::ViewerService;
use regex::Regex;

/// The parts of a link to source code that are replaced.
const PLACEHOLDERS: [&str; 3] = ["{path}", "{line}", "{version}"];

/// Reads `[[viewer.services]]`.
pub(crate) fn configured(loaded: &Loaded) -> Result<Vec<ViewerService>, Error> {
    let numbers = loaded.numbers(&VIEWER).into_iter();
    numbers.map(|number| service(loaded, number)).collect()
}

fn service(loaded: &Loaded, number: usize) -> Result<ViewerService, Error> {
    let section = VIEWER.section;
    let value = |name: &str| {
        let value = loaded.value(&format!("{section}.{number}.{name}")).trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let invalid = |name: &str, reason: &str| {
        Error(format!(
            "invalid {name} of service {number} of {section}: {reason}"
        ))
    };
    let pattern = |name: &str| match value(name) {
        Some(text) => match Regex::new(&text) {
            Ok(_) => Ok(Some(text)),
            Err(error) => Err(invalid(name, &error.to_string())),
        },
        None => Ok(None),
    };
    let source = value("source");
    if let Some(reason) = source.as_deref().and_then(refusal) {
        return Err(invalid("source", &reason));
    }
    Ok(ViewerService {
        service: pattern("service")?.ok_or_else(|| {
            invalid(
                "service",
                "expected a regular expression such as ^checkout$",
            )
        })?,
        source,
        strip: pattern("strip")?,
        own: pattern("own")?,
    })
}

/// Why a link to source code is refused.
fn refusal(source: &str) -> Option<String> {
    if !source.starts_with("https://") && !source.starts_with("http://") {
        return Some(format!(
            "expected a URL that begins with https:// or http://, not {source:?}"
        ));
    }
    if !source.contains("{path}") {
        return Some(format!("{source:?} does not contain {{path}}"));
    }
    let rest = PLACEHOLDERS
        .iter()
        .fold(source.to_owned(), |rest, known| rest.replace(known, ""));
    rest.contains(['{', '}']).then(|| {
        format!(
            "{source:?} contains a part in braces that is not one of {}",
            PLACEHOLDERS.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::refusal;

    #[test]
    fn a_link_to_source_code_is_a_url_with_a_path_and_known_placeholders() {
        let check = |source: &str, expected: &str| {
            let found = refusal(source).unwrap_or_default();
            assert!(
                found.contains(expected) && found.is_empty() == expected.is_empty(),
                "{found}"
            );
        };
        check(
            "https://git.example.com/app/blob/{version}/{path}#L{line}",
            "",
        );
        check("javascript:alert({path})", "begins with https://");
        check("https://git.example.com/app", "does not contain {path}");
        check(
            "https://git.example.com/{branch}/{path}",
            "not one of {path}, {line}, {version}",
        );
    }
}
