//! Requests that a page of another site makes a browser send are refused on every port.

use crate::running::{Running, Sandbox};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

/// The status and the text of the response to a request that is written by hand.
fn send(url: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("it listens");
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if method != "GET" {
        request.push_str("content-length: 3\r\n");
    }
    request.push_str("\r\n");
    if method != "GET" {
        request.push_str("a 1");
    }
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    let response = String::from_utf8_lossy(&response).into_owned();
    let status = response
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok());
    (status.unwrap_or(0), response)
}

fn status(url: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> u16 {
    send(url, method, path, headers).0
}

const PUSH: &str = "/ingest?name=access.cpu&format=folded";

/// Reads and pushes of every port.
fn requests(davy: &Running) -> Vec<(&str, &'static str, &'static str)> {
    vec![
        (&davy.page, "GET", "/api/v1/members"),
        (&davy.page, "GET", "/api/v1/profiles/flamegraph?type=cpu"),
        (&davy.page, "GET", "/"),
        (&davy.page, "GET", "/nothing"),
        (&davy.page, "POST", PUSH),
        (&davy.archive, "GET", "/api/v1/profiles/types"),
        (&davy.archive, "POST", PUSH),
        (&davy.debug, "GET", "/api/v1/members"),
        (&davy.debug, "GET", "/debug/pprof/heap"),
        (&davy.debug, "GET", "/metrics"),
    ]
}

#[test]
fn foreign_host_is_refused_on_every_port_for_reads_and_pushes() {
    let sandbox = Sandbox::new();
    let davy = sandbox.start_quiet(&["--http-hosts", "davy.example.com"]);
    for (url, method, path) in requests(&davy) {
        let (refused, text) = send(url, method, path, &[("host", "attacker.example")]);
        assert_eq!(refused, 421, "{url} {method} {path}: {text}");
        assert!(text.contains("application/problem+json"), "{text}");
        assert!(text.contains("http.hosts"), "{text}");
        for host in ["127.0.0.1:4040", "localhost", "davy.example.com:8080"] {
            let accepted = status(url, method, path, &[("host", host)]);
            assert_ne!(accepted, 421, "{url} {method} {path} {host}");
        }
    }
}

#[test]
fn cross_site_push_of_a_browser_is_refused() {
    let sandbox = Sandbox::new();
    let davy = sandbox.start_quiet(&[]);
    for url in [&davy.page, &davy.archive] {
        let host = ("host", url.trim_start_matches("http://"));
        for foreign in [
            ("origin", "https://attacker.example"),
            ("sec-fetch-site", "cross-site"),
        ] {
            let (refused, text) = send(url, "POST", PUSH, &[host, foreign]);
            assert_eq!(refused, 403, "{url} {foreign:?}: {text}");
            assert!(text.contains("http.hosts"), "{text}");
        }
        assert_eq!(status(url, "POST", PUSH, &[host]), 200);
        let own = ("origin", url.as_str());
        assert_eq!(status(url, "POST", PUSH, &[host, own]), 200);
    }
}

#[test]
fn forwarded_change_without_a_token_is_refused_unless_the_proxy_is_trusted() {
    let sandbox = Sandbox::new();
    let operator = ("davy-user", "tester");
    let path = "/api/v1/members/gc.audit/wake";
    let check = |davy: &Running, forwarded: &[(&str, &str)], expected: u16| {
        for url in [&davy.page, &davy.debug] {
            let host = ("host", url.trim_start_matches("http://"));
            let headers = [&[host, operator], forwarded].concat();
            let (found, text) = send(url, "POST", path, &headers);
            assert_eq!(found, expected, "{url} {forwarded:?}: {text}");
        }
    };
    let (local, remote) = (
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "203.0.113.7"),
    );
    let davy = sandbox.start_quiet(&[]);
    davy.until("the tick of gc.audit", || {
        let direct = [("host", "127.0.0.1"), operator];
        (status(&davy.page, "POST", path, &direct) == 200).then_some(())
    });
    check(&davy, &[], 200);
    check(&davy, &[local], 403);
    check(&davy, &[remote], 403);
    davy.stop();
    let davy = sandbox.start_quiet(&["--http-trusted-proxies", "127.0.0.1"]);
    check(&davy, &[local], 200);
    check(&davy, &[remote], 403);
}

#[test]
fn no_response_can_run_or_be_kept_in_a_browser() {
    let sandbox = Sandbox::new();
    let davy = sandbox.start_quiet(&[]);
    for (url, method, path) in requests(&davy) {
        let host = ("host", url.trim_start_matches("http://"));
        for headers in [&[host][..], &[("host", "attacker.example")]] {
            let (status, text) = send(url, method, path, headers);
            let head = text.split("\r\n\r\n").next().expect("a head");
            let header = |name: &str| {
                let line = head.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap_or_else(|| panic!("{method} {path}, {status}: no {name} in {head}"))
            };
            assert_eq!(header("x-content-type-options: "), "nosniff");
            assert!(header("cache-control: ").starts_with("no-"), "{head}");
            let policy = header("content-security-policy: ");
            assert!(policy.starts_with("default-src 'none'"), "{policy}");
        }
    }
}
