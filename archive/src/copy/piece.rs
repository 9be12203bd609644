//! The units of a copy, each of which is copied completely or not at all.

use super::options::CopyOptions;
use crate::key::{Day, Keys, META, Month, Named, Tenant};
use object_store::path::Path;
use std::collections::BTreeMap;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key below the prefix of the archive, beginning with the tenant.
    pub(super) key: String,
    /// Size in bytes.
    pub(super) size: u64,
    /// When it was written, in seconds since the epoch.
    pub(super) modified: u64,
}

/// What a piece is, and the key or the folder that identifies it. Sorted in the order of copying: what lives shortest
/// comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PieceId {
    /// A segment.
    Segment(String),
    /// The folder of an hour block.
    Hour(String),
    /// The folder of a day block.
    Day(String),
    /// The folder of a month block.
    Month(String),
    /// The folder of the symbols of a build.
    Symbols(String),
    /// Any other object.
    Other(String),
}

/// The objects of a piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    pub(super) entries: Vec<Entry>,
}

impl Piece {
    /// Size of its objects, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    /// Its meta object.
    pub(super) fn meta(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| file(&entry.key) == META)
    }
}

/// The last part of a key.
pub(super) fn file(key: &str) -> &str {
    key.rsplit_once('/').map_or(key, |(_, file)| file)
}

/// The first and the last day of what a key names.
pub(super) fn days(key: &str) -> Option<(Day, Day)> {
    let parts: Vec<&str> = key.split('/').collect();
    let month = match parts.as_slice() {
        [_, "blocks", "month", month, ..] => Month::parse(month),
        _ => None,
    };
    match month {
        Some(month) => Some((month.first(), Day(Month(month.0 + 1).first().0 - 1))),
        None => parts.into_iter().find_map(Day::parse).map(|day| (day, day)),
    }
}

/// The piece that an object belongs to. None if it is not copied: other engines' tables contain the address of the
/// bucket, and are published again.
pub(super) fn identify(key: &str) -> Option<PieceId> {
    let (tenant, rest) = key.split_once('/')?;
    let (folder, _) = rest.split_once('/')?;
    if tenant.starts_with('.') || folder == "table" {
        return None;
    }
    let parent = || key.rsplit_once('/').map_or("", |(folder, _)| folder);
    let named = match (Path::parse(key), Tenant::from_key(tenant)) {
        (Ok(path), Some(of)) => Keys::default().parse(&of, &path),
        _ => return None,
    };
    Some(match named {
        Some(Named::Segment(..)) => PieceId::Segment(key.to_owned()),
        Some(Named::Block(..)) => PieceId::Hour(parent().to_owned()),
        Some(Named::DayBlock(..)) => PieceId::Day(parent().to_owned()),
        Some(Named::MonthBlock(..)) => PieceId::Month(parent().to_owned()),
        None if folder == "symbols" => {
            let build: Vec<&str> = key.splitn(4, '/').take(3).collect();
            PieceId::Symbols(build.join("/"))
        }
        None => PieceId::Other(key.to_owned()),
    })
}

/// The pieces of a listing that are copied.
pub(super) fn pieces(entries: Vec<Entry>, options: &CopyOptions) -> BTreeMap<PieceId, Piece> {
    let mut pieces: BTreeMap<PieceId, Piece> = BTreeMap::new();
    for entry in entries {
        if options.contains(days(&entry.key))
            && let Some(id) = identify(&entry.key)
        {
            pieces.entry(id).or_default().entries.push(entry);
        }
    }
    pieces.retain(|id, piece| match id {
        PieceId::Segment(_) | PieceId::Other(_) => true,
        // A folder without a meta object is not a piece yet.
        PieceId::Hour(_) | PieceId::Day(_) | PieceId::Month(_) | PieceId::Symbols(_) => {
            piece.meta().is_some()
        }
    });
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_belongs_to_the_piece_that_its_key_names() {
        let block = "0".repeat(32);
        let check = |key: &str, expected: Option<PieceId>| assert_eq!(identify(key), expected);
        let id = "t/segments/2026-11-29/10/00000000000000000000000007.segment";
        check(id, Some(PieceId::Segment(id.to_owned())));
        let folder = format!("t/blocks/hour/2026-11-29/10/{block}");
        let hour = PieceId::Hour(folder.clone());
        check(&format!("{folder}/meta.json"), Some(hour));
        let folder = format!("t/blocks/day/2026-11-29/{block}");
        check(
            &format!("{folder}/sums.parquet"),
            Some(PieceId::Day(folder.clone())),
        );
        let folder = format!("t/blocks/month/2026-11/{block}");
        let month = PieceId::Month(folder.clone());
        check(&format!("{folder}/sums.parquet"), Some(month));
        let whole = days(&format!("{folder}/meta.json")).expect("days");
        assert_eq!(Some(whole.0), Day::parse("2026-11-01"));
        assert_eq!(Some(whole.1), Day::parse("2026-11-30"));
        let symbols = PieceId::Symbols("t/symbols/c0ffee".to_owned());
        check("t/symbols/c0ffee/meta.json", Some(symbols.clone()));
        check("t/symbols/c0ffee/1/names.parquet", Some(symbols));
        let damaged = "t/quarantine/checksum/segments/2026-11-29/10/x.segment";
        check(damaged, Some(PieceId::Other(damaged.to_owned())));
        check("t/table/sums/metadata/v1.metadata.json", None);
        check(".archivers/x", None);
        check("../x/y", None);
        assert_eq!(days(damaged).map(|of| of.0), Day::parse("2026-11-29"));
        assert_eq!(days("t/symbols/c0ffee/meta.json"), None);
    }
}
