//! Keys from `~/.aws/credentials`, which object_store does not read.

use crate::settings::{Environment, Secret, SettingsError};
use std::path::PathBuf;

/// Keys of a profile.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) access_key: String,
    pub(crate) secret_key: Secret,
    pub(crate) session_token: Secret,
}

/// The keys of the profile `AWS_PROFILE` (`default`), if the file exists and has them. A profile that was named
/// but has no keys is an error.
pub(crate) fn read(environment: Environment<'_>) -> Result<Option<Keys>, SettingsError> {
    let named = environment("AWS_PROFILE");
    let file = environment("AWS_SHARED_CREDENTIALS_FILE")
        .map(PathBuf::from)
        .or_else(|| {
            Some(
                PathBuf::from(environment("HOME")?)
                    .join(".aws")
                    .join("credentials"),
            )
        });
    let Some(file) = file else { return Ok(None) };
    let keys = match std::fs::read_to_string(&file) {
        Ok(text) => parse(&text, named.as_deref().unwrap_or("default")),
        Err(_) => None,
    };
    match (keys, named) {
        (None, Some(profile)) => Err(SettingsError(format!(
            "profile {profile:?} of AWS_PROFILE has no keys in {}; add aws_access_key_id and \
             aws_secret_access_key, or unset AWS_PROFILE",
            file.display()
        ))),
        (keys, _) => Ok(keys),
    }
}

fn parse(text: &str, profile: &str) -> Option<Keys> {
    let mut in_profile = false;
    let (mut access, mut secret, mut token) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            in_profile = name.trim() == profile;
        } else if let Some((key, value)) = line.split_once('=')
            && in_profile
        {
            let value = Some(value.trim().to_owned());
            match key.trim() {
                "aws_access_key_id" => access = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => token = value,
                _ => {}
            }
        }
    }
    Some(Keys {
        access_key: access?,
        secret_key: Secret(secret?),
        session_token: Secret(token.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_named_profile() {
        let text = "[default]\naws_access_key_id = a\naws_secret_access_key=b\n# c\n[other]\n\
                    aws_access_key_id=c\naws_secret_access_key = d=e\naws_session_token = f\n[empty]\n";
        let keys = |access: &str, secret: &str, token: &str| {
            Some(Keys {
                access_key: access.to_owned(),
                secret_key: Secret(secret.to_owned()),
                session_token: Secret(token.to_owned()),
            })
        };
        assert_eq!(parse(text, "default"), keys("a", "b", ""));
        assert_eq!(parse(text, "other"), keys("c", "d=e", "f"));
        assert_eq!(parse(text, "empty"), None);
        assert_eq!(parse(text, "missing"), None);
    }
}
