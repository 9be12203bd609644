//! Chooses the logs that together hold each sample once.
//!
//! Arc Lamp writes a sample to four logs: of its hour and of its day, of its entry point and of `all`. The logs of `all`
//! are imported, because entry points follow from the stacks; where one is missing, those of the entry points are. A day
//! is imported by its hours if its first hour is there: Arc Lamp deletes the oldest logs first, so none of the others was
//! deleted. Otherwise its daily log is imported.

use super::log_name::LogName;
use davy_base::Timestamp;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Where it is.
    pub path: PathBuf,
    /// What its name says.
    pub name: LogName,
    /// Size in bytes.
    pub bytes: u64,
}

/// Files that are not imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Logs whose samples are in others.
    pub duplicate: usize,
    /// Files that have no name of a log.
    pub other: usize,
}

/// How deep folders are searched: `logs/hourly/` and one more.
const DEPTH: usize = 4;

/// Finds the logs in a folder and chooses those to import, in the order of their time.
pub fn find(folder: &Path) -> io::Result<(Vec<LogFile>, Skipped)> {
    let (mut found, mut skipped) = (Vec::new(), Skipped::default());
    search(folder, DEPTH, &mut found, &mut skipped)?;
    let before = found.len();
    let chosen = choose(found);
    skipped.duplicate = before - chosen.len();
    Ok((chosen, skipped))
}

fn search(
    folder: &Path,
    depth: usize,
    found: &mut Vec<LogFile>,
    skipped: &mut Skipped,
) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Follows links, as a folder of logs may be one.
        let meta = std::fs::metadata(entry.path())?;
        if meta.is_dir() {
            if depth > 1 {
                search(&entry.path(), depth - 1, found, skipped)?;
            }
            continue;
        }
        match entry.file_name().to_str().and_then(LogName::parse) {
            Some(name) => found.push(LogFile {
                path: entry.path(),
                name,
                bytes: meta.len(),
            }),
            None => skipped.other += 1,
        }
    }
    Ok(())
}

/// The logs of a day and a channel: by whether they are hourly, and by their start.
type Periods = BTreeMap<(bool, Timestamp), Vec<LogFile>>;

fn choose(mut found: Vec<LogFile>) -> Vec<LogFile> {
    // Of a log and its compressed form, which both exist while it is compressed, the larger one is whole.
    found.sort_by(|a, b| {
        (a.name.to_string(), b.bytes, &a.path).cmp(&(b.name.to_string(), a.bytes, &b.path))
    });
    found.dedup_by(|a, b| a.name == b.name);
    let mut periods: BTreeMap<(String, Timestamp), Periods> = BTreeMap::new();
    for log in found {
        let day = log.name.start.floor(Duration::from_hours(24));
        let of_day = periods.entry((log.name.channel.clone(), day)).or_default();
        let of_period = of_day
            .entry((log.name.is_hourly, log.name.start))
            .or_default();
        of_period.push(log);
    }
    let mut chosen = Vec::new();
    for ((_, day), mut of_day) in periods {
        let has_first = of_day.contains_key(&(true, day));
        let has_day = of_day.contains_key(&(false, day));
        of_day.retain(|(is_hourly, _), _| *is_hourly == (has_first || !has_day));
        for mut logs in of_day.into_values() {
            if logs.iter().any(|log| log.name.tag == "all") {
                logs.retain(|log| log.name.tag == "all");
            }
            chosen.extend(logs);
        }
    }
    chosen.sort_by_key(|log| (log.name.start, log.name.to_string()));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str]) -> Vec<String> {
        let logs = names.iter().map(|name| LogFile {
            path: PathBuf::from(name),
            name: LogName::parse(name).expect("a log"),
            bytes: name.len() as u64,
        });
        choose(logs.collect())
            .into_iter()
            .map(|log| log.path.display().to_string())
            .collect()
    }

    #[test]
    fn day_with_its_first_hour_is_imported_by_its_hours() {
        let hours = ["2026-11-29_00.x.all.log", "2026-11-29_07.x.all.log"];
        let names = [hours[0], hours[1], "2026-11-29.x.all.log"];
        assert_eq!(chosen(&names), hours);
        let pruned = ["2026-11-29_07.x.all.log", "2026-11-29.x.all.log"];
        assert_eq!(chosen(&pruned), ["2026-11-29.x.all.log"]);
        assert_eq!(chosen(&pruned[..1]), pruned[..1]);
    }

    #[test]
    fn logs_of_entry_points_are_imported_only_where_that_of_all_is_missing() {
        let names = [
            "2026-11-28.x.all.log.gz",
            "2026-11-28.x.index.log.gz",
            "2026-11-29.x.api.log",
            "2026-11-29.x.index.log",
        ];
        let expected = [names[0], names[2], names[3]];
        assert_eq!(chosen(&names), expected);
    }

    #[test]
    fn channels_do_not_replace_each_other() {
        let names = ["2026-11-29.x.all.log", "2026-11-29_00.y.all.log"];
        assert_eq!(chosen(&names), names);
    }

    #[test]
    fn log_and_its_compressed_form_are_imported_once() {
        let names = ["2026-11-29.x.all.log", "2026-11-29.x.all.log.gz"];
        assert_eq!(chosen(&names), ["2026-11-29.x.all.log.gz"]);
    }

    #[test]
    fn logs_are_found_in_the_folders_of_arc_lamp() {
        let folder = tempfile::tempdir().expect("a folder");
        for (path, text) in [
            ("logs/hourly/2026-11-29_00.x.all.log", "a 1\n"),
            ("logs/daily/2026-11-29.x.all.log", "a 1\n"),
            ("logs/README", ""),
            ("svgs/daily/2026-11-29.x.all.svgz", ""),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            std::fs::write(path, text).expect("written");
        }
        let (found, skipped) = find(folder.path()).expect("found");
        let names: Vec<String> = found.iter().map(|log| log.name.to_string()).collect();
        assert_eq!(names, ["2026-11-29_00.x.all.log"]);
        assert_eq!((skipped.duplicate, skipped.other), (1, 2));
    }
}
