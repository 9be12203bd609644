//! The settings of rendered flame graphs.

use super::error::Error;
use super::load::Loaded;
use super::settings::FOCUS;
use davy_render::Focus;
use std::time::Duration;

/// The values of the settings of `archive.renderer`.
#[derive(Clone, Debug)]
pub(crate) struct RenderConfig {
    pub(crate) interval: Duration,
    pub(crate) members: usize,
    pub(crate) nodes: usize,
    pub(crate) has_operations: bool,
    pub(crate) focus: Vec<Focus>,
    pub(crate) page_url: Option<String>,
}

impl RenderConfig {
    /// Checks the values of a loaded configuration.
    pub(super) fn new(loaded: &Loaded) -> Result<Self, Error> {
        let count = |key: &str, max: usize| {
            let expected = format!("a whole number from 1 to {max}");
            loaded.parse(key, &expected, |text| {
                text.parse().ok().filter(|count| (1..=max).contains(count))
            })
        };
        let interval = loaded.parse(
            "archive.render_interval",
            "a duration above 0 such as 1m or 15m",
            |text| {
                let span = humantime::parse_duration(text).ok();
                span.filter(|span| !span.is_zero())
            },
        )?;
        let page_url = loaded.parse(
            "archive.page_url",
            "an address that begins with http:// or https://, such as https://davy.example.com/",
            |text| match text {
                "" => Some(None),
                text => {
                    let is_http = text.starts_with("http://") || text.starts_with("https://");
                    (is_http && !text.contains(char::is_whitespace)).then(|| Some(text.to_owned()))
                }
            },
        )?;
        let mut focus = Vec::new();
        for (key, pattern, source) in loaded.iter() {
            let Some(name) = key
                .strip_prefix(FOCUS)
                .and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let valid = Focus::new(name, pattern).map_err(|error| {
                Error(format!("invalid {key} = {pattern:?} ({source}): {error}"))
            })?;
            focus.push(valid);
        }
        Ok(Self {
            interval,
            members: count("archive.render_members", 10_000)?,
            nodes: count("archive.render_nodes", 100_000_000)?,
            has_operations: loaded.parse("archive.render_operations", "true or false", |text| {
                text.parse().ok()
            })?,
            focus,
            page_url,
        })
    }
}
