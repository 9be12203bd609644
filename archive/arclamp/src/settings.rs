//! What to listen to: an address of Redis, and the settings of Arc Lamp's own `arclamp-log.yaml`.

use crate::settings_error::SettingsError;
use crate::tls::TlsFiles;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates,
    TlsMode,
};
use serde_json::{Map, Value};
use std::fmt;
use std::net::SocketAddr;

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
    /// With TLS, the certificates to trust and to present.
    pub(crate) tls: Option<TlsCertificates>,
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
    /// Parses `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `rediss://` for TLS. With the addresses of Sentinels
    /// (`HOST:PORT`), the host of the URL is the name of the master.
    pub fn new(url: &str, sentinels: &[String], files: &TlsFiles) -> Result<Self, SettingsError> {
        let invalid = |reason: &str| {
            // Without the password.
            let shown = url.rsplit_once('@').map_or(url, |(_, host)| host);
            SettingsError::new(format!(
                "invalid Redis URL {shown:?}: {reason}; expected redis://HOST:PORT, for example redis://127.0.0.1:6379"
            ))
        };
        if !url.starts_with("redis://") && !url.starts_with("rediss://") {
            return Err(invalid("it does not begin with redis:// or rediss://"));
        }
        let info = url
            .into_connection_info()
            .map_err(|error| invalid(&error.to_string()))?;
        let login = info.redis_settings().clone();
        let (host, port, tls) = match info.addr().clone() {
            ConnectionAddr::Tcp(host, port) => (host, port, None),
            ConnectionAddr::TcpTls { insecure: true, .. } => {
                return Err(invalid(
                    "certificates are always verified; remove #insecure",
                ));
            }
            ConnectionAddr::TcpTls { host, port, .. } => (host, port, Some(files.read()?)),
            _ => return Err(invalid("it names no host")),
        };
        if tls.is_none() && !files.is_empty() {
            return Err(invalid(
                "files for TLS are set, but it does not begin with rediss://",
            ));
        }
        let sentinels = sentinels.iter().map(|text| {
            let (host, port) = text.rsplit_once(':').unwrap_or((text, "26379"));
            let invalid = || {
                SettingsError::new(format!(
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
        Ok(Self { place, login, tls })
    }

    /// A client for an address. With TLS, `name` is what the certificate has to be for, and is resolved again.
    pub(crate) fn client(&self, name: &str, address: SocketAddr) -> RedisResult<Client> {
        let addr = match self.tls {
            None => ConnectionAddr::Tcp(address.ip().to_string(), address.port()),
            Some(_) => tls_address(name, address.port()),
        };
        let info = addr.into_connection_info()?;
        let info = info.set_redis_settings(self.login.clone());
        match &self.tls {
            None => Client::open(info),
            Some(certificates) => Client::build_with_tls(info, certificates.clone()),
        }
    }

    /// A client that asks Sentinels. With TLS, they and the master have it.
    pub(crate) fn sentinels(
        &self,
        nodes: &[(String, u16)],
        master: &str,
    ) -> RedisResult<SentinelClient> {
        let nodes = nodes.iter().map(|(host, port)| match self.tls {
            None => ConnectionAddr::Tcp(host.clone(), *port),
            Some(_) => tls_address(host, *port),
        });
        let mut builder = SentinelClientBuilder::new(nodes, master, SentinelServerType::Master)?
            .set_client_to_redis_db(self.login.db());
        if let Some(name) = self.login.username() {
            builder = builder.set_client_to_redis_username(name);
        }
        if let Some(password) = self.login.password() {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(certificates) = &self.tls {
            builder = builder
                .set_client_to_sentinel_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_certificates(certificates.clone())
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_redis_certificates(certificates.clone());
        }
        builder.build()
    }
}

fn tls_address(host: &str, port: u16) -> ConnectionAddr {
    ConnectionAddr::TcpTls {
        host: host.to_owned(),
        port,
        insecure: false,
        tls_params: None,
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
    /// Files for TLS.
    pub tls: TlsFiles,
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
        let failed =
            |error: String| SettingsError::new(format!("invalid arclamp-log.yaml: {error}"));
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
        let (redis, tls) = url(redis, &mut note).map_err(failed)?;
        Ok(Self {
            redis,
            tls,
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

/// The URL of a server and its files for TLS, from the arguments of Arc Lamp's Redis client.
fn url(
    arguments: Map<String, Value>,
    note: &mut impl FnMut(String, &'static str),
) -> Result<(String, TlsFiles), String> {
    let (mut scheme, mut tls) = ("redis", TlsFiles::default());
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
            "ssl" if value == Value::Bool(true) => scheme = "rediss",
            "ssl_ca_certs" => tls.ca = Some(text_of(&value, &path)?.into()),
            "ssl_certfile" => tls.certificate = Some(text_of(&value, &path)?.into()),
            "ssl_keyfile" => tls.key = Some(text_of(&value, &path)?.into()),
            "ssl_cert_reqs" if value == "required" => {}
            "ssl_check_hostname" if value == Value::Bool(true) => {}
            "ssl_cert_reqs" | "ssl_check_hostname" => {
                return Err(format!(
                    "{path}: certificates and their names are always verified; remove it, and set ssl_ca_certs"
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
                    "{path}: unsupported argument of the Redis client; host, port, db, username, password, ssl, ssl_ca_certs, ssl_certfile and ssl_keyfile are supported"
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
    if scheme == "redis" {
        // As with Arc Lamp's client, which ignores them then.
        tls = TlsFiles::default();
    }
    Ok((format!("{scheme}://{login}{host}:{port}{db}"), tls))
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
        let redis = RedisSettings::new(&yaml.redis, &[], &yaml.tls).expect("good");
        assert_eq!(
            (redis.login.password(), redis.login.db()),
            (Some("a@b/c"), 2)
        );
    }

    #[test]
    fn tls_of_arc_lamp_works() {
        let text = "redis: {host: r, ssl: true, ssl_ca_certs: /ca.pem, ssl_cert_reqs: required}";
        let yaml = Yaml::read(text).expect("good");
        assert_eq!(yaml.redis, "rediss://r:6379");
        assert_eq!(yaml.tls.ca, Some("/ca.pem".into()));
        let plain = RedisSettings::new("redis://r", &[], &yaml.tls).expect_err("no TLS");
        assert!(plain.to_string().contains("rediss://"), "{plain}");
        let of = RedisSettings::new("rediss://r", &[], &TlsFiles::default()).expect("good");
        assert!(of.tls.is_some());
        let text = "redis: {host: r, ssl: false, ssl_ca_certs: /ca.pem}";
        assert!(Yaml::read(text).expect("good").tls.is_empty());
    }

    #[test]
    fn settings_that_cannot_work_are_errors_that_name_them() {
        let cases = [
            ("redis: {ssl: 3}", "redis.ssl: unsupported"),
            (
                "redis: {ssl: true, ssl_cert_reqs: none}",
                "redis.ssl_cert_reqs: certificates and their names are always verified",
            ),
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
            "rediss://:secret@r:6379#insecure",
            "redis+unix://x:secret@/r",
        ] {
            let error = RedisSettings::new(url, &[], &TlsFiles::default())
                .expect_err("bad")
                .to_string();
            assert!(!error.contains("secret"), "{error}");
        }
        let sentinel = |of: &str| {
            let files = TlsFiles::default();
            RedisSettings::new("redis://mymaster", &[of.to_owned()], &files)
        };
        assert!(sentinel("s1:x").is_err());
        let of = sentinel("s1").expect("good");
        assert_eq!(of.to_string(), "the master mymaster");
    }
}
