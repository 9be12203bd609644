//! `bucket.url`.

use crate::settings::SettingsError;

/// The kind of an object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// A folder on this machine.
    File,
    /// The memory of this process.
    Memory,
    /// S3, or an object store with its API.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
    /// OpenStack Swift.
    Swift,
}

/// A parsed `bucket.url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketUrl {
    /// The kind of the object store.
    pub scheme: Scheme,
    /// The folder, the bucket or the container; empty for [`Scheme::Memory`].
    pub name: String,
    /// The prefix of all keys, without slashes at its ends; often empty.
    pub prefix: String,
}

/// The forms of `bucket.url`, for messages.
const FORMS: &str = "file:///FOLDER, memory:, s3://BUCKET/PREFIX, swift://CONTAINER/PREFIX, \
                         gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";

impl BucketUrl {
    /// Parses a URL.
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        if url == "memory:" || url == "memory://" {
            return Ok(Self {
                scheme: Scheme::Memory,
                name: String::new(),
                prefix: String::new(),
            });
        }
        if let Some(folder) = url.strip_prefix("file://") {
            if !folder.starts_with('/') {
                return Err(SettingsError(format!(
                    "invalid bucket.url {url:?}: the path must be absolute, as in file:///FOLDER"
                )));
            }
            return Ok(Self {
                scheme: Scheme::File,
                name: folder.to_owned(),
                prefix: String::new(),
            });
        }
        let (scheme, rest) = url
            .split_once("://")
            .and_then(|(scheme, rest)| Some((Scheme::find(scheme)?, rest)))
            .ok_or_else(|| {
                SettingsError(format!("unsupported bucket.url {url:?}: expected {FORMS}"))
            })?;
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if name.is_empty() || name.contains(['@', ':', '?', '#']) || prefix.contains(['?', '#']) {
            // What precedes an @ may be a secret.
            let url = if rest.contains('@') {
                "with a user"
            } else {
                url
            };
            return Err(SettingsError(format!(
                "invalid bucket.url {url:?}: expected {FORMS}, without user, port or parameters; \
                 the address of the store is bucket.endpoint or bucket.auth_url"
            )));
        }
        Ok(Self {
            scheme,
            name: name.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
        })
    }
}

impl BucketUrl {
    /// The URL without the prefix: `s3://BUCKET`, `file:///FOLDER`.
    pub fn root(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Memory => return "memory:".to_owned(),
            Scheme::File => "file",
            Scheme::S3 => "s3",
            Scheme::Gcs => "gs",
            Scheme::Azure => "az",
            Scheme::Swift => "swift",
        };
        format!("{scheme}://{}", self.name.trim_end_matches('/'))
    }
}

impl Scheme {
    fn find(name: &str) -> Option<Self> {
        match name {
            "s3" => Some(Self::S3),
            "gs" => Some(Self::Gcs),
            "az" => Some(Self::Azure),
            "swift" => Some(Self::Swift),
            _ => None,
        }
    }

    /// Whether requests to it travel over a network.
    pub fn is_remote(self) -> bool {
        !matches!(self, Self::File | Self::Memory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, scheme: Scheme, name: &str, prefix: &str) {
        let expected = BucketUrl {
            scheme,
            name: name.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(BucketUrl::parse(url), Ok(expected), "{url}");
    }

    #[test]
    fn url_is_split_into_scheme_bucket_and_prefix() {
        check("memory:", Scheme::Memory, "", "");
        check("file:///var/lib/davy", Scheme::File, "/var/lib/davy", "");
        check("s3://b", Scheme::S3, "b", "");
        check("s3://b/", Scheme::S3, "b", "");
        check("swift://c/davy/prod/", Scheme::Swift, "c", "davy/prod");
        check("gs://b/p", Scheme::Gcs, "b", "p");
        check("az://c/p", Scheme::Azure, "c", "p");
    }

    #[test]
    fn root_is_the_url_without_the_prefix() {
        for (url, root) in [
            ("memory:", "memory:"),
            ("file:///var/lib/davy", "file:///var/lib/davy"),
            ("swift://c/davy/prod", "swift://c"),
            ("s3://b", "s3://b"),
        ] {
            let parsed = BucketUrl::parse(url).expect("valid");
            assert_eq!(parsed.root(), root);
        }
    }

    #[test]
    fn invalid_url_is_refused_with_the_forms_that_exist() {
        for (url, part) in [
            (
                "ftp://x",
                "unsupported bucket.url \"ftp://x\": expected file:///FOLDER",
            ),
            ("/var/lib", "unsupported bucket.url"),
            ("file://var", "the path must be absolute"),
            ("s3://", "invalid bucket.url \"s3://\""),
            ("s3://key:secret@b/p", "without user"),
            ("s3://b/p?region=x", "parameters"),
        ] {
            let error = BucketUrl::parse(url).expect_err(url).to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }
}
