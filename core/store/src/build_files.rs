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
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }
}

/// The bytes of part of a file.
#[derive(Clone, Copy, Debug)]
pub enum FileBytes<'a> {
    /// They are stored in the row.
    Row(&'a [u8]),
    /// They are in an object.
    Object {
        /// The name of the object.
        name: &'a str,
        /// Its size.
        size: i64,
    },
}

/// Part of a file as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct FilePart {
    /// Empty if they are in an object.
    pub bytes: Vec<u8>,
    /// The object that has the bytes.
    pub object: Option<String>,
}

impl Store {
    /// Stores part of a file, or replaces it; its bytes are in the row, or in an object that is written already. Returns
    /// false and stores nothing if the build does not exist or its files would exceed [`FILE_BYTES_MAX`].
    pub async fn put_file_part(
        &self,
        build: i64,
        kind: FileKind,
        name: &str,
        part: i64,
        bytes: FileBytes<'_>,
    ) -> Result<bool, Error> {
        let (size, bytes, object): (i64, &[u8], Option<&str>) = match bytes {
            FileBytes::Row(bytes) => (bytes.len() as i64, bytes, None),
            FileBytes::Object { name, size } => (size, &[], Some(name)),
        };
        let rows = self
            .session()
            .await?
            .execute(
                "INSERT INTO build_files (build, kind, name, part, size, bytes, object)
                 SELECT id, $2, $3, $4, $5, $6, $8 FROM builds
                 WHERE id = $1 AND $5 + (SELECT COALESCE(SUM(size), 0) FROM build_files
                    WHERE build = $1 AND NOT (kind = $2 AND name = $3 AND part = $4)) <= $7
                 ON CONFLICT (build, kind, name, part) DO UPDATE SET
                    size = excluded.size, bytes = excluded.bytes, object = excluded.object",
                args![
                    build,
                    kind.as_str(),
                    name,
                    part,
                    size,
                    bytes,
                    FILE_BYTES_MAX,
                    object
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
    ) -> Result<Option<FilePart>, Error> {
        self.session()
            .await?
            .optional(
                "SELECT bytes, object FROM build_files
                 WHERE build = $1 AND kind = $2 AND name = $3 AND part = $4",
                args![build, kind.as_str(), name, part],
            )
            .await
    }
}
