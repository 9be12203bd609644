//! Inputs and outputs of builds, in numbered parts.

use crate::args::args;
use crate::{Error, Store};

/// The size of the inputs and outputs of a build together, in bytes, at most.
pub const FILE_BYTES_MAX: i64 = 16 << 20;

/// Whether a file is an input or an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// The client uploads it.
    Input,
    /// The worker uploads it.
    Output,
}

impl FileKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

impl Store {
    /// Stores part of a file, or replaces it. Returns false and stores nothing if the build does not exist or its files
    /// would exceed [`FILE_BYTES_MAX`].
    pub async fn put_file_part(
        &self,
        build: i64,
        kind: FileKind,
        name: &str,
        part: i64,
        bytes: &[u8],
    ) -> Result<bool, Error> {
        let rows = self
            .session()
            .await?
            .execute(
                "INSERT INTO build_files (build, kind, name, part, size, bytes)
                 SELECT id, $2, $3, $4, $5, $6 FROM builds
                 WHERE id = $1 AND $5 + (SELECT COALESCE(SUM(size), 0) FROM build_files
                    WHERE build = $1 AND NOT (kind = $2 AND name = $3 AND part = $4)) <= $7
                 ON CONFLICT (build, kind, name, part) DO UPDATE SET
                    size = excluded.size, bytes = excluded.bytes",
                args![
                    build,
                    kind.as_str(),
                    name,
                    part,
                    bytes.len() as i64,
                    bytes,
                    FILE_BYTES_MAX
                ],
            )
            .await?;
        Ok(rows > 0)
    }

    /// Part of a file, from 1; `None` after the last one.
    pub async fn file_part(
        &self,
        build: i64,
        kind: FileKind,
        name: &str,
        part: i64,
    ) -> Result<Option<Vec<u8>>, Error> {
        let bytes: Option<(Vec<u8>,)> = self
            .session()
            .await?
            .optional(
                "SELECT bytes FROM build_files
                 WHERE build = $1 AND kind = $2 AND name = $3 AND part = $4",
                args![build, kind.as_str(), name, part],
            )
            .await?;
        Ok(bytes.map(|(bytes,)| bytes))
    }
}
