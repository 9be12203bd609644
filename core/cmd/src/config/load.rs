//! Reads the sources, each overriding the one before: defaults, `davy.toml`, environment, flags.

use super::error::Error;
use super::setting::Setting;
use super::settings::{
    FOCUS, SETTINGS, TABLE_LISTS, TableList, find_setting, of_focus, of_process, of_tenant,
};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use davy_control::nearest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// The source of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    File(PathBuf),
    Environment(String),
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

/// The flags of all settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    pub(crate) values: BTreeMap<&'static str, String>,
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        let file = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .env("DAVY_CONFIG")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Configuration file [default: davy.toml if it exists]");
        let command = command.arg(file).after_help(
            "Each member also has --member-NAME-enabled and --member-NAME-isolate, and isolated ones --member-NAME-memory-max, \
             --member-NAME-cpu-weight and --member-NAME-pids-max; periodic members have \
             --member-NAME-interval, members that use the database have --member-NAME-connections. Each endpoint \
             has --endpoint-NAME-enabled, --endpoint-NAME-limit and --endpoint-NAME-slot. Each process has \
             --process-NAME-members.",
        );
        SETTINGS.iter().fold(command, |command, setting| {
            let default = if setting.default.is_empty() {
                String::new()
            } else {
                format!(" [default: {}]", setting.default)
            };
            command.arg(
                Arg::new(setting.key)
                    .long(setting.flag())
                    .value_name("VALUE")
                    .overrides_with(setting.key)
                    .help(format!("{}{default}", setting.help))
                    .hide(setting.one_of_many)
                    .help_heading("Settings"),
            )
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.file = matches.get_one::<PathBuf>("config").cloned();
        for setting in SETTINGS.iter() {
            if let Some(value) = matches.get_one::<String>(setting.key) {
                self.values.insert(setting.key, value.clone());
            }
        }
        Ok(())
    }
}

/// The value and the source of every setting.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    values: BTreeMap<&'static str, (String, Source)>,
}

impl Flags {
    /// These flags as arguments, for a child process with the same configuration.
    pub(crate) fn to_arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if let Some(file) = &self.file {
            arguments.extend(["--config".to_owned(), file.display().to_string()]);
        }
        for (key, value) in &self.values {
            let flag = find_setting(key).map_or_else(String::new, Setting::flag);
            arguments.push(format!("--{flag}={value}"));
        }
        arguments
    }
}

/// Variables with the prefix DAVY_ that are not settings.
const OTHER_VARIABLES: &[&str] = &["DAVY_CONFIG", "DAVY_SERVER", "DAVY_TOKEN"];
/// Variables of Davy's own child processes.
const INTERNAL_PREFIX: &str = "DAVY_INTERNAL_";

/// Former names of settings, and their names now.
const RENAMED: &[(&str, &str)] = &[
    ("store", "bucket"),
    ("store.url", "bucket.url"),
    ("DAVY_STORE_URL", "DAVY_BUCKET_URL"),
];

impl Loaded {
    /// Reads all sources with the environment of this process.
    pub(crate) fn from_environment(flags: &Flags) -> Result<Self, Error> {
        Self::read(flags, std::env::vars())
    }

    /// Reads all sources. An unknown name in any of them is an error that suggests the nearest known one.
    pub(crate) fn read(
        flags: &Flags,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let mut values: BTreeMap<_, _> = SETTINGS
            .iter()
            .map(|s| (s.key, (s.default.to_owned(), Source::Default)))
            .collect();
        let file = match &flags.file {
            Some(file) => Some(file.clone()),
            None => Some(PathBuf::from("davy.toml")).filter(|file| file.exists()),
        };
        if let Some(file) = file {
            for (setting, value) in read_file(&file)? {
                values.insert(setting, (value, Source::File(file.clone())));
            }
        }
        let variables: BTreeMap<String, &Setting> =
            SETTINGS.iter().map(|s| (s.variable(), s)).collect();
        for (name, value) in environment {
            if let Some(setting) = variables.get(&name) {
                values.insert(setting.key, (value, Source::Environment(name)));
            } else if name.starts_with("DAVY_")
                && !name.starts_with(INTERNAL_PREFIX)
                && !OTHER_VARIABLES.contains(&name.as_str())
            {
                return Err(unknown(
                    "environment variable",
                    &name,
                    variables.keys().map(String::as_str),
                ));
            }
        }
        for (key, value) in &flags.values {
            let flag = find_setting(key).map_or_else(String::new, Setting::flag);
            values.insert(key, (value.clone(), Source::Flag(flag)));
        }
        Ok(Self { values })
    }

    /// The value of a setting.
    pub(crate) fn value(&self, key: &str) -> &str {
        self.values.get(key).map_or("", |(value, _)| value)
    }

    /// The value and the source of a setting.
    pub(crate) fn sourced(&self, key: &str) -> Option<(&str, &Source)> {
        let (value, source) = self.values.get(key)?;
        Some((value, source))
    }

    /// The numbers of the entries of a list of tables.
    pub(super) fn numbers(&self, list: &TableList) -> BTreeSet<usize> {
        let numbers = self.values.keys().filter_map(|key| {
            let rest = key.strip_prefix(list.section)?.strip_prefix('.')?;
            rest.split_once('.')?.0.parse().ok()
        });
        numbers.collect()
    }

    /// Names of the processes whose members are configured.
    pub(crate) fn processes(&self) -> impl Iterator<Item = String> {
        let names = self.values.iter().filter_map(|(key, (value, _))| {
            let name = key.strip_prefix("process.")?.strip_suffix(".members")?;
            (!value.is_empty()).then(|| name.to_owned())
        });
        names.collect::<Vec<_>>().into_iter()
    }

    /// Key, value and source of every setting, sorted by key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &str, &Source)> {
        self.values
            .iter()
            .map(|(key, (value, source))| (*key, value.as_str(), source))
    }

    /// Parses the value of a setting. The error names the value, its source and what is expected.
    pub(crate) fn parse<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let (value, source) = self
            .values
            .get(key)
            .map_or(("", &Source::Default), |(value, source)| {
                (value.as_str(), source)
            });
        parse(value.trim()).ok_or_else(|| {
            Error(format!(
                "invalid {key} = {value:?} ({source}): expected {expected}"
            ))
        })
    }
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Error {
    let renamed = RENAMED.iter().find(|(old, _)| *old == name);
    let hint = match renamed
        .map(|(_, new)| *new)
        .or_else(|| nearest(name, known))
    {
        Some(near) => format!("did you mean {near}?"),
        None => "`davy config show` lists all settings".to_owned(),
    };
    Error(format!("unknown {what} {name}; {hint}"))
}

fn read_file(path: &Path) -> Result<Vec<(&'static str, String)>, Error> {
    let named = |error: &dyn fmt::Display| {
        Error(format!(
            "cannot read configuration file {}: {error}",
            path.display()
        ))
    };
    let text = std::fs::read_to_string(path).map_err(|error| named(&error))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| {
            text[..span.start.min(text.len())].lines().count().max(1)
        });
        named(&format!("line {line}: {}", error.message()))
    })?;
    let mut values = Vec::new();
    flatten("", &table, path, &mut values)?;
    Ok(values)
}

fn flatten(
    prefix: &str,
    table: &toml::Table,
    path: &Path,
    values: &mut Vec<(&'static str, String)>,
) -> Result<(), Error> {
    for (name, value) in table {
        let key = if prefix.is_empty() {
            name.clone()
        } else {
            format!("{prefix}.{name}")
        };
        let mut keys = SETTINGS.iter().map(|s| s.key);
        let mut lists = TABLE_LISTS.iter().map(|list| list.section);
        let is_in = |of: &str| of.starts_with(&format!("{key}."));
        let is_section = keys.any(is_in) || lists.any(is_in) || key == "tenants";
        let known = find_setting(&key).map(|setting| setting.key);
        match (value, known) {
            (toml::Value::Table(inner), None) if is_section => flatten(&key, inner, path, values)?,
            // The operator names each focus.
            (toml::Value::Table(inner), None) if key == FOCUS => {
                for (name, value) in inner {
                    let known = of_focus(name);
                    values.push((known, single(known, value, path)?));
                }
            }
            // The operator may define any process.
            (toml::Value::Table(inner), None) if prefix == "process" => {
                for (name, value) in inner {
                    if name != "members" {
                        let what = format!("key in {}:", path.display());
                        let wrong = format!("{key}.{name}");
                        let right = format!("{key}.members");
                        return Err(unknown(&what, &wrong, std::iter::once(right.as_str())));
                    }
                    values.push((of_process(key_end(&key)).key, single(&key, value, path)?));
                }
            }
            (toml::Value::Table(inner), None) if prefix == "tenants" => {
                for (limit, value) in inner {
                    let Some(known) = of_tenant(name, limit) else {
                        let what = format!("key in {}:", path.display());
                        let limits = SETTINGS
                            .iter()
                            .filter_map(|s| s.key.strip_prefix("limits."));
                        let known: Vec<String> = limits.map(|of| format!("{key}.{of}")).collect();
                        let known = known.iter().map(String::as_str);
                        return Err(unknown(&what, &format!("{key}.{limit}"), known));
                    };
                    values.push((known, single(known, value, path)?));
                }
            }
            (of, None) if let Some(list) = TABLE_LISTS.iter().find(|of| of.section == key) => {
                let toml::Value::Array(entries) = of else {
                    return Err(Error(format!(
                        "{key} in {} must be a list of tables: [[{key}]]",
                        path.display()
                    )));
                };
                flatten_list(list, entries, path, values)?;
            }
            (_, Some(known)) => values.push((known, single(&key, value, path)?)),
            (toml::Value::Table(_), None) => {
                let what = format!("key in {}:", path.display());
                let settings = SETTINGS.iter().map(|s| s.key);
                let keys = settings.chain(TABLE_LISTS.iter().map(|list| list.section));
                let sections = keys.filter_map(|key| key.rsplit_once('.'));
                let sections = sections.map(|(section, _)| section).chain(["tenants"]);
                return Err(unknown(&what, &key, sections));
            }
            (_, None) => {
                let what = format!("key in {}:", path.display());
                return Err(unknown(&what, &key, SETTINGS.iter().map(|s| s.key)));
            }
        }
    }
    Ok(())
}

/// The entries of a list of tables, numbered from 1.
fn flatten_list(
    list: &TableList,
    entries: &[toml::Value],
    path: &Path,
    values: &mut Vec<(&'static str, String)>,
) -> Result<(), Error> {
    let section = list.section;
    for (number, entry) in (1..).zip(entries) {
        let Some(table) = entry.as_table() else {
            return Err(Error(format!(
                "entry {number} of {section} in {} must be a table: [[{section}]]",
                path.display()
            )));
        };
        // So that an entry without it is found.
        let first = list.keys[0];
        let key = list.key(number, first).map(|key| (key, String::new()));
        values.extend(key.filter(|_| !table.contains_key(first)));
        for (name, value) in table {
            let Some(known) = list.key(number, name) else {
                let what = format!("key in {}:", path.display());
                let keys: Vec<String> = list
                    .keys
                    .iter()
                    .map(|of| format!("{section}.{of}"))
                    .collect();
                let keys = keys.iter().map(String::as_str);
                return Err(unknown(&what, &format!("{section}.{name}"), keys));
            };
            values.push((known, single(known, value, path)?));
        }
    }
    Ok(())
}

fn key_end(key: &str) -> &str {
    key.split_once('.').map_or(key, |(_, end)| end)
}

/// The text of a value. Items of a list are joined by commas.
fn single(key: &str, value: &toml::Value, path: &Path) -> Result<String, Error> {
    let wrong = |what: &str| Err(Error(format!("{key} in {} must be {what}", path.display())));
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Float(number) => Ok(number.to_string()),
        toml::Value::Boolean(truth) => Ok(truth.to_string()),
        toml::Value::Array(items) if is_list(key) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            texts.map_or_else(|| wrong("a list of names"), |texts| Ok(texts.join(",")))
        }
        _ => wrong("a single value"),
    }
}

/// Whether the value of a setting may be a list.
fn is_list(key: &str) -> bool {
    key.starts_with("process.")
        || matches!(
            key,
            "http.hosts" | "http.embed_origins" | "http.trusted_proxies"
        )
}
