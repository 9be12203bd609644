//! Listeners, archivers, and the clock of the server.

use super::finding::{Finding, Findings};
use crate::config::Config;
use crate::server::Server;
use davy_base::{Clock, Timestamp};
use davy_profile::names::visible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

/// Time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A difference of clocks from which on windows are refused or at the wrong place.
pub(super) const SKEW_FAILED: Duration = Duration::from_mins(2);
/// A difference of clocks that can be seen in graphs.
pub(super) const SKEW_WARNING: Duration = Duration::from_secs(5);

pub(super) fn check(config: &Config, server: &Server, clock: &Clock, findings: &mut Findings) {
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("davy/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    for (setting, address) in [
        ("http.listen", config.http_listen),
        ("archive.listen", config.archive_listen),
        ("debug.listen", config.debug_listen),
    ] {
        findings.add(port(&agent, setting, address));
    }
    if config.archive_listen.ip().is_loopback() {
        findings.add(
            Finding::warning(
                "agents",
                format!(
                    "archive.listen is {}, so only agents on this machine can push",
                    config.archive_listen
                ),
            )
            .advise("set archive.listen = \"0.0.0.0:4040\" if agents run on other machines"),
        );
    }
    let archivers = if config.profiler_archives.is_empty() {
        vec![format!("http://{}", reachable(config.archive_listen))]
    } else {
        config.profiler_archives.clone()
    };
    for url in archivers {
        findings.add(archiver(&agent, &url));
    }
    running(&agent, server, clock, findings);
}

/// The address by which this machine reaches a listener.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        _ => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
    }
}

/// The status, the Date header and the body of a response.
struct Answer {
    status: u16,
    date: Option<Timestamp>,
    body: String,
}

fn get(agent: &ureq::Agent, url: &str) -> Result<Answer, ureq::Error> {
    let mut response = agent.get(url).header("accept", "application/json").call()?;
    let date = response.headers().get("date");
    let date = date.and_then(|date| date.to_str().ok().map(str::to_owned));
    let body = response
        .body_mut()
        .with_config()
        .limit(1 << 20)
        .read_to_string();
    Ok(Answer {
        status: response.status().as_u16(),
        date: date.and_then(|date| parse_date(&date)),
        body: body.unwrap_or_default(),
    })
}

/// A date of HTTP.
fn parse_date(text: &str) -> Option<Timestamp> {
    let date = httpdate::parse_http_date(text).ok()?;
    let since = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_seconds(
        i64::try_from(since.as_secs()).ok()?,
    ))
}

fn port(agent: &ureq::Agent, setting: &str, address: SocketAddr) -> Finding {
    const CHECK: &str = "ports";
    if address.port() == 0 {
        return Finding::skipped(CHECK, format!("{setting} {address} selects a free port"));
    }
    let bound = TcpListener::bind(address);
    let Err(error) = bound else {
        return Finding::ok(
            CHECK,
            format!("{setting} {address} is free; no Davy runs there"),
        );
    };
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            let url = format!("http://{}/livez", reachable(address));
            match get(agent, &url) {
                Ok(answer) if answer.status == 200 && answer.body == "ok\n" => {
                    Finding::ok(CHECK, format!("{setting} {address}: Davy responds"))
                }
                Ok(_) => Finding::failed(CHECK, format!("{setting} {address} is in use by another program"))
                    .advise(format!("`ss -ltnp 'sport = :{}'` shows which; stop it or set {setting} to another port", address.port())),
                Err(error) => Finding::failed(CHECK, format!("{setting} {address} is in use, but not responding: {error}"))
                    .advise(format!("`ss -ltnp 'sport = :{}'` shows the process; if it is Davy, its debug port has stacks: /debug/pprof/", address.port())),
            }
        }
        std::io::ErrorKind::AddrNotAvailable => Finding::failed(
            CHECK,
            format!("{setting} {address} is not an address of this machine"),
        )
        .advise(format!(
            "set {setting} to an address that `ip address` lists, or to 0.0.0.0"
        )),
        std::io::ErrorKind::PermissionDenied => {
            Finding::failed(CHECK, format!("{setting} {address}: permission denied"))
                .advise("use a port above 1023, or give the process CAP_NET_BIND_SERVICE")
        }
        _ => Finding::failed(
            CHECK,
            format!("cannot listen on {setting} {address}: {error}"),
        ),
    }
}

fn archiver(agent: &ureq::Agent, url: &str) -> Finding {
    const CHECK: &str = "agents";
    let ready = format!("{}/ready", url.trim_end_matches('/'));
    match get(agent, &ready) {
        Ok(answer) if answer.status == 200 => {
            Finding::ok(CHECK, format!("the archiver {url} accepts profiles"))
        }
        Ok(answer) => {
            let reason: String = visible(answer.body.trim()).chars().take(200).collect();
            Finding::failed(
                CHECK,
                format!(
                    "the archiver {url} is not ready: status {}: {reason}",
                    answer.status
                ),
            )
            .advise("`davy members --server URL` lists the members that are not ready")
        }
        Err(error) => Finding::failed(CHECK, format!("cannot reach the archiver {url}: {error}"))
            .advise("start Davy, or set profiler.archive to the address of an archiver"),
    }
}

/// The health of the running Davy, and the difference between its clock and this one.
fn running(agent: &ureq::Agent, server: &Server, clock: &Clock, findings: &mut Findings) {
    let url = server.server.trim_end_matches('/');
    let before = clock.now();
    match get(agent, &format!("{url}/api/v1/health")) {
        Ok(answer) => {
            findings.add(health(url, &answer));
            if let Some(date) = answer.date {
                findings.add(skew(
                    &format!("the server {url}"),
                    date,
                    before,
                    clock.now(),
                ));
            }
        }
        Err(error) => findings.add(
            Finding::failed("server", format!("cannot reach {url}: {error}"))
                .advise("start Davy, or name a running one with --server"),
        ),
    }
}

fn health(url: &str, answer: &Answer) -> Finding {
    const CHECK: &str = "server";
    let health: serde_json::Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let issues = ["failing", "degraded"].iter().flat_map(|kind| {
        let issues = health[*kind].as_array().into_iter().flatten();
        issues.map(|issue| {
            let text = |name: &str| issue[name].as_str().unwrap_or_default();
            let error = match text("error") {
                "" => String::new(),
                error => format!(" ({error})"),
            };
            format!("{} is {}{error}", text("member"), text("state"))
        })
    });
    let issues: Vec<String> = issues.map(|issue| visible(&issue).into_owned()).collect();
    let issues = issues.join("; ");
    match health["status"].as_str() {
        Some("ok") => Finding::ok(CHECK, format!("{url} is healthy")),
        Some("degraded") => Finding::warning(CHECK, format!("{url} is degraded: {issues}"))
            .advise("`davy members` shows the state of every member"),
        Some(status) => Finding::failed(CHECK, format!("{url} is {status}: {issues}"))
            .advise("`davy members` shows the state of every member"),
        None => Finding::failed(
            CHECK,
            format!("{url} responded with status {}", answer.status),
        )
        .advise("check that --server names the address of http.listen"),
    }
}

/// The difference between another clock and this one. `theirs` has a resolution of a second.
pub(super) fn skew(whose: &str, theirs: Timestamp, before: Timestamp, after: Timestamp) -> Finding {
    const CHECK: &str = "clock";
    let early = before.since(theirs.plus(Duration::from_secs(1)));
    let late = theirs.since(after);
    let skew = early.max(late);
    let direction = if late > early { "ahead of" } else { "behind" };
    let detail = format!(
        "the clock of {whose} is {} {direction} this one",
        davy_profile::units::duration(skew)
    );
    let advice = "synchronize the clocks (timedatectl set-ntp true, or chrony)";
    if skew >= SKEW_FAILED {
        Finding::failed(CHECK, detail).advise(advice)
    } else if skew >= SKEW_WARNING {
        Finding::warning(CHECK, detail).advise(advice)
    } else {
        Finding::ok(CHECK, format!("the clock of {whose} agrees with this one"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(finding: &Finding) -> String {
        serde_json::to_string(finding).expect("JSON")
    }

    #[test]
    fn clocks_that_differ_are_found_in_both_directions() {
        let at = Timestamp::from_seconds;
        let check = |theirs: i64, expected: &str| {
            let found = json(&skew("x", at(theirs), at(1_000), at(1_001)));
            assert!(found.contains(expected), "{found}");
        };
        check(1_000, r#""outcome":"ok""#);
        check(996, r#""outcome":"ok""#);
        check(990, "9 s behind");
        check(1_011, "10 s ahead of");
        check(2_000, r#""outcome":"failed""#);
    }

    #[test]
    fn port_in_use_by_another_program_is_a_failure() {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_millis(300)))
            .build()
            .new_agent();
        let other = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = other.local_addr().expect("an address");
        let found = json(&port(&agent, "http.listen", address));
        assert!(found.contains("in use, but not responding"), "{found}");
        drop(other);
        let found = json(&port(&agent, "http.listen", address));
        assert!(found.contains("is free"), "{found}");
        let foreign = "192.0.2.1:8080".parse().expect("an address");
        let found = json(&port(&agent, "http.listen", foreign));
        assert!(found.contains("not an address of this machine"), "{found}");
    }
}
