//! Settings from environment variables.

use crate::Builder;

impl Builder {
    /// Settings from the environment, or `None` if `DAVY_ARCHIVER` is not set. The
    /// variables are:
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `DAVY_ARCHIVER` | addresses of archivers, separated by commas |
    /// | `DAVY_SERVICE` | the name of the service; default: the file name of the executable |
    /// | `DAVY_ARCHIVER_TOKEN` | the bearer token for archivers |
    pub fn from_env() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let archivers = variable("DAVY_ARCHIVER")?;
        let mut builder = Self::new(service());
        for archiver in archivers.split(',') {
            builder = builder.archiver(archiver.trim());
        }
        if let Some(token) = variable("DAVY_ARCHIVER_TOKEN") {
            builder = builder.token(token);
        }
        Some(builder)
    }
}

/// `DAVY_SERVICE`, or the file name of the executable.
pub(crate) fn service() -> String {
    let given = std::env::var("DAVY_SERVICE").ok();
    let own = || {
        let executable = std::env::current_exe().ok()?;
        Some(executable.file_name()?.to_string_lossy().into_owned())
    };
    let service = given.filter(|name| !name.is_empty()).or_else(own);
    service.unwrap_or_else(|| "main".to_owned())
}
