//! What to listen to: an address of Redis, and the settings of Arc Lamp's own `arclamp-log.yaml`.

use redis::sentinel::SentinelNodeConnectionInfo;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use serde_json::{Map, Value};
use std::fmt;

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SettingsError(String);

/// A setting of `arclamp-log.yaml` that has no effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its path, for example `logs[0].retain`.
    pub setting: String,
    /// Why it is not needed, and what takes its place.
    pub reason: &'static str,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not needed: {}", self.setting, self.reason)
    }
}

/// Where Redis is.
#[derive(Clone, Debug)]
pub struct RedisSettings {
    pub(crate) place: Place,
    pub(crate) login: RedisConnectionInfo,
}

/// How the server is found.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// By its address, which is resolved again and again.
    Server(String, u16),
    /// By asking Sentinels for the master with a name.
    Sentinels(Vec<(String, u16)>, String),
}

impl RedisSettings {
    /// Parses `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`. With the addresses of Sentinels (`HOST:PORT`), the host of the
    /// URL is the name of the master.
    pub fn new(url: &str, sentinels: &[String]) -> Result<Self, SettingsError> {
        let invalid = |reason: &str| {
            // Without the password.
            let shown = url.rsplit_once('@').map_or(url, |(_, host)| host);
            SettingsError(format!(
                "invalid Redis URL {shown:?}: {reason}; expected redis://HOST:PORT, for example redis://127.0.0.1:6379"
            ))
        };
        if url.starts_with("rediss://") {
            return Err(invalid(
                "TLS is not supported; use a tunnel such as stunnel",
            ));
        }
        if !url.starts_with("redis://") {
            return Err(invalid("it does not begin with redis://"));
        }
        let info = url
            .into_connection_info()
            .map_err(|error| invalid(&error.to_string()))?;
        let login = info.redis_settings().clone();
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
            return Err(invalid("it names no host"));
        };
        let sentinels = sentinels.iter().map(|text| {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, "26379"));
            let invalid = || {
                SettingsError(format!(
                    "invalid Sentinel {text:?}: expected HOST:PORT, for example sentinel-1:26379"
                ))
            };
            let port = port.parse().map_err(|_| invalid())?;
            if host.is_empty() {
                Err(invalid())
            } else {
                Ok((host.to_owned(), port))
            }
        });
        let sentinels: Vec<_> = sentinels.collect::<Result<_, _>>()?;
        let place = if sentinels.is_empty() {
            Place::Server(host, port)
        } else {
            Place::Sentinels(sentinels, host)
        };
        Ok(Self { place, login })
    }

    /// The information for a connection to an address.
    pub(crate) fn connection(&self, host: &str, port: u16) -> redis::RedisResult<ConnectionInfo> {
        let info = ConnectionAddr::Tcp(host.to_owned(), port).into_connection_info()?;
        Ok(info.set_redis_settings(self.login.clone()))
    }

    /// The information for connections to what the Sentinels name.
    pub(crate) fn node(&self) -> SentinelNodeConnectionInfo {
        SentinelNodeConnectionInfo::default().set_redis_connection_info(self.login.clone())
    }
}

impl fmt::Display for RedisSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Server(host, port) => write!(f, "{host}:{port}"),
            Place::Sentinels(_, master) => write!(f, "the master {master}"),
        }
    }
}

/// An `arclamp-log.yaml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Yaml {
    /// URL of Redis.
    pub redis: String,
    /// The channel.
    pub channel: String,
    /// Settings that have no effect.
    pub notes: Vec<Note>,
}

/// Arguments of Arc Lamp's Redis client that have no effect here.
const CLIENT: [&str; 9] = [
    "socket_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "retry_on_timeout",
    "health_check_interval",
    "max_connections",
    "client_name",
    "encoding",
    "decode_responses",
];

/// Settings of a log, and what takes their place.
const LOG: [(&str, &str); 4] = [
    (
        "format",
        "objects have fixed names, and their time is in UTC",
    ),
    (
        "period",
        "each hour and each day has its own log and flame graphs",
    ),
    (
        "retain",
        "archive.hours_retention and archive.days_retention decide how long they are kept",
    ),
    (
        "sample_pop",
        "stacks are added up, so that every sample is kept",
    ),
];

impl Yaml {
    /// Reads the file. Every setting either works or is in the notes; an unknown one is an error.
    pub fn read(text: &str) -> Result<Self, SettingsError> {
        let failed = |error: String| SettingsError(format!("invalid arclamp-log.yaml: {error}"));
        let value: Value =
            serde_saphyr::from_str(text).map_err(|error| failed(error.to_string()))?;
        let mut notes = Vec::new();
        let mut note = |setting: String, reason| notes.push(Note { setting, reason });
        let (mut redis, mut channel) = (Map::new(), "arclamp".to_owned());
        for (key, value) in map(value, "the file").map_err(failed)? {
            match key.as_str() {
                "base_path" => note(key, "logs and flame graphs are in the bucket"),
                "redis" => redis = map(value, "redis").map_err(failed)?,
                "redis_channel" => channel = text_of(&value, "redis_channel").map_err(failed)?,
                "logs" => {
                    let Value::Array(logs) = value else {
                        return Err(failed("logs: expected a list".to_owned()));
                    };
                    for (at, log) in logs.into_iter().enumerate() {
                        let path = format!("logs[{at}]");
                        for key in map(log, &path).map_err(failed)?.keys() {
                            let known = LOG.iter().find(|(name, _)| name == key);
                            let known =
                                known.ok_or_else(|| failed(unknown(&format!("{path}.{key}"))))?;
                            note(format!("{path}.{key}"), known.1);
                        }
                    }
                }
                _ => return Err(failed(unknown(&key))),
            }
        }
        let redis = url(redis, &mut note).map_err(failed)?;
        Ok(Self {
            redis,
            channel,
            notes,
        })
    }
}

fn unknown(path: &str) -> String {
    format!("unknown setting {path}; Arc Lamp has base_path, redis, redis_channel and logs")
}

fn map(value: Value, path: &str) -> Result<Map<String, Value>, String> {
    match value {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(format!("{path}: expected settings, one on each line")),
    }
}

fn text_of(value: &Value, path: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("{path}: expected a text")),
    }
}

/// The URL of a server, from the arguments of Arc Lamp's Redis client.
fn url(
    arguments: Map<String, Value>,
    note: &mut impl FnMut(String, &'static str),
) -> Result<String, String> {
    let (mut host, mut port, mut db) = ("localhost".to_owned(), "6379".to_owned(), String::new());
    let (mut user, mut password) = (String::new(), String::new());
    for (key, value) in arguments {
        let path = format!("redis.{key}");
        match key.as_str() {
            "host" => host = text_of(&value, &path)?,
            "port" => port = text_of(&value, &path)?,
            "db" => db = text_of(&value, &path)?,
            "username" => user = text_of(&value, &path)?,
            "password" => password = text_of(&value, &path)?,
            "ssl" if value == Value::Bool(false) => {}
            "ssl" => {
                return Err(format!(
                    "{path}: TLS is not supported; use a tunnel such as stunnel"
                ));
            }
            _ if CLIENT.contains(&key.as_str()) => {
                note(
                    path,
                    "connections are checked each second, and made again for ever",
                );
            }
            _ => {
                return Err(format!(
                    "{path}: unsupported argument of the Redis client; host, port, db, username and password are supported"
                ));
            }
        }
    }
    let escaped = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    let login = match (user.as_str(), password.as_str()) {
        ("", "") => String::new(),
        (user, password) => format!("{}:{}@", escaped(user), escaped(password)),
    };
    let db = if db.is_empty() { db } else { format!("/{db}") };
    Ok(format!("redis://{login}{host}:{port}{db}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_of_production_works_and_every_other_setting_is_noted() {
        let text = "
base_path: /srv/arclamp/logs
redis:
  host: redis.example.org
  port: 6380
  socket_timeout: 5
redis_channel: excimer-wall
logs:
  - format: '%Y-%m-%d_%H.excimer-wall'
    period: hourly
    retain: 336
  - format: '%Y-%m-%d.excimer-wall'
    period: daily
    retain: 90
    sample_pop: 10
";
        let yaml = Yaml::read(text).expect("good");
        assert_eq!(yaml.redis, "redis://redis.example.org:6380");
        assert_eq!(yaml.channel, "excimer-wall");
        let noted: Vec<&str> = yaml
            .notes
            .iter()
            .map(|note| note.setting.as_str())
            .collect();
        let expected = [
            "base_path",
            "logs[0].format",
            "logs[0].period",
            "logs[0].retain",
            "logs[1].format",
            "logs[1].period",
            "logs[1].retain",
            "logs[1].sample_pop",
            "redis.socket_timeout",
        ];
        let mut sorted = noted.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
    }

    #[test]
    fn defaults_are_those_of_arc_lamp() {
        let yaml = Yaml::read("redis:\n  host: r\n").expect("good");
        assert_eq!(
            (yaml.redis.as_str(), yaml.channel.as_str()),
            ("redis://r:6379", "arclamp")
        );
        let yaml = Yaml::read("redis: {host: r, password: 'a@b/c', db: 2}").expect("good");
        assert_eq!(yaml.redis, "redis://:a%40b%2Fc@r:6379/2");
        let redis = RedisSettings::new(&yaml.redis, &[]).expect("good");
        assert_eq!(
            (redis.login.password(), redis.login.db()),
            (Some("a@b/c"), 2)
        );
    }

    #[test]
    fn settings_that_cannot_work_are_errors_that_name_them() {
        let cases = [
            ("redis: {ssl: true}", "redis.ssl: TLS is not supported"),
            (
                "redis: {unix_socket_path: /r}",
                "redis.unix_socket_path: unsupported",
            ),
            ("chanel: x", "unknown setting chanel"),
            ("logs: [{keep: 3}]", "unknown setting logs[0].keep"),
            ("logs: 3", "logs: expected a list"),
            ("redis: [", "invalid arclamp-log.yaml"),
        ];
        for (text, expected) in cases {
            let error = Yaml::read(text).expect_err("bad").to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn password_is_in_no_error() {
        for url in [
            "redis://u:secret@",
            "rediss://:secret@r:6379",
            "redis+unix://x:secret@/r",
        ] {
            let error = RedisSettings::new(url, &[]).expect_err("bad").to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(RedisSettings::new("redis://mymaster", &["s1:x".to_owned()]).is_err());
        let of = RedisSettings::new("redis://mymaster", &["s1".to_owned()]).expect("good");
        assert_eq!(of.to_string(), "the master mymaster");
    }
}
