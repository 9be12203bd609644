//! Copies an archive to and from another bucket or a tar: the backup, and the move between providers.
//!
//! A *piece* is what exists as a whole or not at all: a segment, a block, the symbols of a build, or any other object
//! of a tenant. The meta object of a piece is copied last, so a copy that is interrupted at any point leaves an archive
//! that is whole, and a repeated copy resumes there: what is in the target already is compared and
//! skipped.
//!
//! **The source may be written and compacted meanwhile.** A window is acknowledged after its segment was stored, so the
//! listing with which a pass begins shows it in a segment or a block. The pass copies every listed piece. If none was
//! deleted before it could be copied, the target holds every window of the listing. Otherwise there is another pass:
//! what was deleted is covered by a block that has been readable for the grace period, and a new listing shows it. The
//! target is read by the rule of readers (`rule`), for which copies of pieces are pieces like others, so each window
//! counts once there.
//!
//! **What is copied is verified**: blocks by the checksums in their meta objects, segments by their own, everything by
//! its size. A piece that is damaged in the source is copied as it is, because queries report it there and must report
//! it here, and the result names it.

mod ends;
mod extents;
mod objects;
mod options;
mod passes;
mod piece;
mod stream;
mod tar;
mod transfer;

pub use ends::{CopySource, CopyTarget};
pub use options::{Amount, CopyOptions, CopyReport};

use crate::archive::Archive;
use crate::error::Result;
use crate::progress::Progress;
use ends::{From, Target};
use passes::Copy;

/// Copies from one to the other.
async fn run(
    CopySource(from): CopySource,
    CopyTarget(to): CopyTarget,
    options: &CopyOptions,
    progress: Progress<'_>,
) -> Result<CopyReport> {
    match (from, &to) {
        (From::Readable(from), _) => Copy::new(from, to, options, progress).run().await,
        (From::Stream(input), Target::Objects(to)) => {
            stream::receive(input, to, options, progress).await
        }
        (From::Stream(_), Target::Tar(_)) => Ok(CopyReport::default()),
    }
}

impl Archive {
    /// Copies the archive to another place.
    pub async fn export(
        &self,
        target: CopyTarget,
        options: &CopyOptions,
        progress: Progress<'_>,
    ) -> Result<CopyReport> {
        let source = CopySource::of(self);
        run(source, target, options, progress).await
    }

    /// Copies an archive from another place into this one, which keeps what it has.
    pub async fn import(
        &self,
        source: CopySource,
        options: &CopyOptions,
        progress: Progress<'_>,
    ) -> Result<CopyReport> {
        let target = CopyTarget::of(self);
        run(source, target, options, progress).await
    }
}
