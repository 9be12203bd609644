//! What the member `archive.arclamp` listens to.

use super::error::Error;
use super::load::Loaded;
use davy_arclamp::{Channel, Note, RedisSettings, TlsFiles, Yaml};
use std::path::PathBuf;
use std::time::Duration;

/// The checked settings of a process that listens to Redis.
#[derive(Clone, Debug)]
pub(crate) struct ArcLampConfig {
    pub(crate) redis: RedisSettings,
    pub(crate) channels: Vec<Channel>,
    pub(crate) service: String,
    pub(crate) window: Duration,
    pub(crate) buffer_bytes: usize,
    /// Settings of the YAML files that have no effect, each with the name of its file.
    pub(crate) notes: Vec<(String, Note)>,
}

/// Reads `[arclamp]`; `None` if no Redis is configured. `url` is the value of `arclamp.redis` or of its file.
pub(super) fn configured(
    loaded: &Loaded,
    mut url: String,
    window: Duration,
    buffer_bytes: u64,
) -> Result<Option<ArcLampConfig>, Error> {
    let items = |key: &str| -> Vec<String> {
        let items = loaded.value(key).split(',').map(str::trim);
        items
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let (mut channels, mut notes) = (items("arclamp.channels"), Vec::new());
    let has_channels = !channels.is_empty();
    let mut of_file: Option<(String, String, TlsFiles)> = None;
    for file in items("arclamp.yaml") {
        let text = std::fs::read_to_string(&file);
        let text =
            text.map_err(|error| Error(format!("cannot read arclamp.yaml {file:?}: {error}")))?;
        let yaml = Yaml::read(&text).map_err(|error| Error(format!("{file}: {error}")))?;
        notes.extend(yaml.notes.into_iter().map(|note| (file.clone(), note)));
        if !has_channels && !channels.contains(&yaml.channel) {
            channels.push(yaml.channel);
        }
        match &of_file {
            Some((other, redis, _)) if *redis != yaml.redis && url.is_empty() => {
                return Err(Error(format!(
                    "arclamp.yaml: {other} and {file} name different servers; set arclamp.redis"
                )));
            }
            Some(_) => {}
            None => of_file = Some((file, yaml.redis, yaml.tls)),
        }
    }
    let path =
        |key: &str| Some(PathBuf::from(loaded.value(key))).filter(|of| !of.as_os_str().is_empty());
    let mut tls = TlsFiles {
        ca: path("arclamp.ca_file"),
        certificate: path("arclamp.certificate_file"),
        key: path("arclamp.key_file"),
    };
    if url.is_empty()
        && let Some((_, redis, of_file)) = of_file
    {
        url = redis;
        if tls.is_empty() {
            tls = of_file;
        }
    }
    if url.is_empty() {
        return Ok(None);
    }
    if channels.is_empty() {
        channels = ["excimer", "excimer-wall"].map(str::to_owned).into();
    }
    let redis = RedisSettings::new(&url, &items("arclamp.sentinels"), &tls);
    Ok(Some(ArcLampConfig {
        redis: redis.map_err(|error| Error(format!("arclamp.redis: {error}")))?,
        channels: channels.iter().map(|name| Channel::named(name)).collect(),
        service: loaded.value("arclamp.service").to_owned(),
        window,
        buffer_bytes: usize::try_from(buffer_bytes).unwrap_or(usize::MAX),
        notes,
    }))
}
