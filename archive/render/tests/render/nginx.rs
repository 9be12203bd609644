//! The configurations of nginx in the guides, in a real nginx. `ops/dev/need nginx` installs it.

use crate::pages::check_links;
use crate::support::{HOUR, Objects, Sample, World, clock, unpacked};
use davy_archive::ArchiveOptions;
use davy_base::Clock;
use davy_bucket::{BucketSettings, Secret, open};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const FLAMEGRAPHS: &str = include_str!("../../../../ops/docs/flamegraphs.md");
const ARCLAMP: &str = include_str!("../../../../ops/docs/arclamp.md");
const SAMPLES: &[Sample<'_>] = &[(&["main", "a"], 5_000_000, &[("member", "api")])];

/// The blocks of a language in a guide.
fn blocks<'a>(guide: &'a str, language: &str) -> Vec<&'a str> {
    let start = format!("```{language}\n");
    let found = guide.split(&start).skip(1);
    found
        .map(|rest| rest.split("```").next().expect("a block"))
        .collect()
}

/// The policy of the guide.
fn policy() -> &'static str {
    let found = blocks(FLAMEGRAPHS, "text").into_iter();
    let policy = found
        .map(str::trim)
        .find(|text| text.starts_with("default-src"));
    policy.expect("a policy")
}

/// A running nginx, which listens on a socket in a folder of its own.
struct Nginx(TempDir);

impl Nginx {
    /// `None`, and the test is reported as skipped, if nginx is not installed.
    fn start(locations: &[&str]) -> Option<Self> {
        if Command::new("nginx").arg("-v").output().is_err() {
            davy_test_support::skip("nginx is not installed; run ops/dev/need nginx");
            return None;
        }
        let folder = TempDir::new().expect("a scratch folder");
        let path = folder.path().display();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|of| format!("{of}_temp_path {path}/{of};\n"))
            .concat();
        let configuration = format!(
            "pid {path}/pid;\nerror_log {path}/error.log;\nworker_processes 1;\nevents {{ }}\nhttp {{\n\
             access_log off;\n{temporary}types {{ text/html html; }}\ndefault_type application/octet-stream;\n\
             server {{\nlisten unix:{path}/socket;\n{}\n}}\n}}\n",
            locations.join("\n").replace("POLICY", policy())
        );
        std::fs::write(folder.path().join("nginx.conf"), configuration).expect("written");
        // It returns when nginx listens.
        let nginx = Self(folder);
        nginx.run(&[]);
        Some(nginx)
    }

    fn run(&self, arguments: &[&str]) {
        let folder = self.0.path();
        let output = Command::new("nginx")
            .arg("-c")
            .arg(folder.join("nginx.conf"))
            .arg("-p")
            .arg(folder)
            .arg("-e")
            .arg(folder.join("error.log"))
            .args(["-g", "user root;"].iter().filter(|_| is_root()))
            .args(arguments)
            .output()
            .expect("nginx");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
    }

    fn get(&self, path: &str) -> Answer {
        let stream = UnixStream::connect(self.0.path().join("socket")).expect("nginx listens");
        exchange(
            stream,
            &format!("GET {path} HTTP/1.0\r\nHost: davy\r\n\r\n"),
        )
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.run(&["-s", "stop"]);
    }
}

/// A worker of root would run as `nobody`, which cannot read scratch folders.
fn is_root() -> bool {
    // SAFETY: geteuid has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// An answer of HTTP/1.0.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Answer {
    stream.write_all(request.as_bytes()).expect("sent");
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an answer");
    let end = bytes.windows(4).position(|of| of == b"\r\n\r\n");
    let body = bytes.split_off(end.expect("a head") + 4);
    let head = String::from_utf8(bytes).expect("UTF-8");
    let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    };
    Answer {
        status: status.unwrap_or_else(|| panic!("{head}")),
        headers: head.lines().filter_map(header).collect(),
        body,
    }
}

/// Renders an hour and a day of profiles into a bucket; returns what was written, by the path below the tenant.
async fn render(options: ArchiveOptions) -> Objects {
    let prefix = format!("{}/anonymous/", options.prefix);
    let world = World::with(options, &clock());
    let at = world.clock.now().floor(HOUR).minus(HOUR * 2);
    world.push("anonymous", "web", at, SAMPLES).await;
    world.render().await;
    let written = world.written().await.into_iter();
    let below =
        |(key, bytes): (String, Vec<u8>)| Some((key.strip_prefix(&prefix)?.to_owned(), bytes));
    written.filter_map(below).collect()
}

fn check_site(nginx: &Nginx, objects: &Objects) {
    check_links(objects);
    for (key, bytes) in objects {
        let answer = nginx.get(&format!("/profiles/{key}"));
        assert_eq!(answer.status, 200, "{key}: {answer:?}");
        assert_eq!(unpacked(&answer.body), unpacked(bytes), "{key}");
        let (media_type, encoding) = match key.rsplit_once('.').expect("an extension").1 {
            "svgz" => ("image/svg+xml", Some("gzip")),
            "gz" => ("text/plain; charset=utf-8", Some("gzip")),
            _ => ("text/html", None),
        };
        let served = answer.header("content-type").unwrap_or_default();
        assert!(served.starts_with(media_type), "{key}: {served}");
        assert_eq!(answer.header("content-encoding"), encoding, "{key}");
        if media_type != "text/plain; charset=utf-8" {
            assert_eq!(
                answer.header("content-security-policy"),
                Some(policy()),
                "{key}"
            );
        }
    }
    let calendar = nginx.get("/profiles/flamegraphs/");
    assert_eq!(calendar.status, 200, "{calendar:?}");
    assert_eq!(calendar.body, objects["flamegraphs/index.html"]);
    // The archive itself stays private.
    for path in [
        "/profiles/segments/",
        "/profiles/blocks/x",
        "/profiles/",
        "/profiles/captures/x",
    ] {
        assert_eq!(nginx.get(path).status, 404, "{path}");
    }
}

fn below(path: &Path) -> String {
    format!("{}/davy/anonymous/", path.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_nginx_serves_the_site_from_a_folder() {
    let folder = TempDir::new().expect("a scratch folder");
    let site = blocks(FLAMEGRAPHS, "nginx")[0];
    assert!(site.contains("/var/lib/davy/store/anonymous/"));
    let site = site.replace("/var/lib/davy/store/anonymous/", &below(folder.path()));
    let Some(nginx) = Nginx::start(&[&site]) else {
        return;
    };
    let settings = BucketSettings::new(format!("file://{}", folder.path().display()));
    let opened = open(&settings, &|_| None, &Clock::system()).expect("valid settings");
    let options = ArchiveOptions {
        prefix: "davy".to_owned(),
        ..ArchiveOptions::of(opened)
    };
    let objects = render(options).await;
    assert!(!objects.is_empty());
    check_site(&nginx, &objects);
}

#[tokio::test(flavor = "multi_thread")]
async fn documented_nginx_serves_the_site_from_swift() {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let address = variable("DEV_SWIFT");
    if address.is_empty() {
        davy_test_support::skip("DEV_SWIFT is not set; start the tests with `ops/dev/swift run`");
        return;
    }
    let prefix = format!("nginx-{}", std::process::id());
    let site = blocks(FLAMEGRAPHS, "nginx")[1];
    let documented = "https://swift.example.com/v1/AUTH_davy/davy/anonymous/";
    assert!(site.contains(documented));
    let bucket = format!("{address}/v1/AUTH_test/davy/{prefix}/anonymous/");
    let Some(nginx) = Nginx::start(&[&site.replace(documented, &bucket)]) else {
        return;
    };
    let (user, password) = (variable("DEV_SWIFT_USER"), variable("DEV_SWIFT_PASSWORD"));
    let swift = |request: String| {
        let host = address.strip_prefix("http://").expect("an address");
        let stream = TcpStream::connect(host).expect("Swift listens");
        exchange(
            stream,
            &format!("{request}Host: {host}\r\nContent-Length: 0\r\n\r\n"),
        )
    };
    let login = swift(format!(
        "GET /auth/v1.0 HTTP/1.0\r\nX-Auth-User: {user}\r\nX-Auth-Key: {password}\r\n"
    ));
    let token = login.header("x-auth-token").expect("a token");
    let public = swift(format!(
        "POST /v1/AUTH_test/davy HTTP/1.0\r\nX-Auth-Token: {token}\r\nX-Container-Read: .r:*\r\n"
    ));
    assert_eq!(public.status, 204, "{public:?}");
    let settings = BucketSettings {
        auth_url: format!("{address}/auth/v1.0"),
        user,
        password: Secret(password),
        ..BucketSettings::new("swift://davy")
    };
    let opened = open(&settings, &|_| None, &Clock::system()).expect("valid settings");
    let options = ArchiveOptions {
        prefix,
        ..ArchiveOptions::of(opened)
    };
    let objects = render(options).await;
    assert!(!objects.is_empty());
    check_site(&nginx, &objects);
}

#[test]
fn documented_nginx_redirects_the_addresses_of_arc_lamp() {
    let Some(nginx) = Nginx::start(&blocks(ARCLAMP, "nginx")) else {
        return;
    };
    for (old, new) in [
        (
            "svgs/daily/2026-11-29.excimer.index.svgz",
            "flamegraphs/daily/2026-11-29.cpu_samples.mediawiki.index.svgz",
        ),
        (
            "svgs/hourly/2026-11-29_13.excimer-wall.all.reversed.svgz",
            "flamegraphs/hourly/2026-11-29_13.wall_samples.mediawiki.all.reversed.svgz",
        ),
        (
            "svgs/daily/2026-11-29.excimer.all.fn-parser.svgz",
            "flamegraphs/daily/2026-11-29.cpu_samples.mediawiki.all.fn-parser.svgz",
        ),
        (
            "logs/daily/2026-11-29.excimer.all.log",
            "logs/daily/2026-11-29.cpu_samples.mediawiki.all.log.gz",
        ),
        (
            "logs/hourly/2026-11-29_13.excimer-wall.index.log.gz",
            "logs/hourly/2026-11-29_13.wall_samples.mediawiki.index.log.gz",
        ),
    ] {
        let answer = nginx.get(&format!("/arclamp/{old}"));
        assert_eq!(answer.status, 301, "{old}: {answer:?}");
        let location = answer.header("location").expect("a location");
        assert!(
            location.ends_with(&format!("/profiles/{new}")),
            "{location}"
        );
    }
}
