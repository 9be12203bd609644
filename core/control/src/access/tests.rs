use super::*;
use axum::http::Method;

const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

fn access(options: AccessOptions) -> Access {
    Access::new(options, &Registry::new()).expect("an empty registry accepts the counter")
}

fn connection(peer: &str, local: &str) -> Connection {
    Connection {
        peer: peer.parse().expect("an address"),
        local: local.parse().expect("an address"),
    }
}

fn request(method: Method, headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri("/ingest");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a valid request")
}

/// The status with which a request to 127.0.0.1 is refused; 200 if it is accepted.
fn status(access: &Access, request: &Request<()>) -> u16 {
    match access.admit(connection("127.0.0.1", "127.0.0.1"), request) {
        Ok(_) => 200,
        Err(problem) => {
            assert!(problem.detail.contains("http.hosts"), "{}", problem.detail);
            problem.status.as_u16()
        }
    }
}

#[test]
fn loopback_listener_refuses_foreign_host_for_reads_and_pushes() {
    let access = access(AccessOptions {
        hosts: vec!["davy.example.com".to_owned()],
        ..AccessOptions::default()
    });
    for method in [Method::GET, Method::POST, Method::PUT] {
        let check = |host: &str, expected: u16| {
            let request = request(method.clone(), &[("host", host)]);
            assert_eq!(status(&access, &request), expected, "{method} {host}");
        };
        for host in [
            "127.0.0.1:4040",
            "10.1.2.3",
            "[::1]:8080",
            "[::1]",
            "localhost",
            "LOCALHOST.:8080",
            "davy.example.com",
            "Davy.Example.com:443",
        ] {
            check(host, 200);
        }
        for host in [
            "attacker.example",
            "attacker.example:8080",
            "localhost.attacker.example",
            "davy",
            "127.0.0.1.attacker.example",
            "a b",
        ] {
            check(host, 421);
        }
    }
}

#[test]
fn every_host_of_a_request_is_checked() {
    let access = access(AccessOptions::default());
    let twice = request(
        Method::GET,
        &[("host", "127.0.0.1"), ("host", "attacker.example")],
    );
    assert_eq!(status(&access, &twice), 421);
    let absolute = Request::get("http://attacker.example/api/v1/members")
        .header("host", "127.0.0.1")
        .body(())
        .expect("a valid request");
    assert_eq!(status(&access, &absolute), 421);
    // HTTP/1.0 health checks send no host, and no browser omits it.
    assert_eq!(status(&access, &request(Method::GET, &[])), 200);
}

#[test]
fn listener_on_the_network_accepts_any_host() {
    let access = access(AccessOptions::default());
    let request = request(Method::POST, &[("host", "archiver.monitoring.svc:4040")]);
    let network = connection("10.0.0.7", "10.0.0.1");
    assert_eq!(access.admit(network, &request).ok(), Some(Caller::Remote));
    // The same listener reached through a loopback address is exposed to the browser of this machine.
    assert_eq!(status(&access, &request), 421);
}

#[test]
fn cross_site_pushes_of_a_browser_are_refused() {
    let access = access(AccessOptions {
        hosts: vec!["grafana.example.com".to_owned()],
        ..AccessOptions::default()
    });
    let check = |headers: &[(&str, &str)], expected: u16| {
        let mut all = vec![("host", "127.0.0.1:4040")];
        all.extend(headers);
        let push = request(Method::POST, &all);
        assert_eq!(status(&access, &push), expected, "{headers:?}");
        let read = request(Method::GET, &all);
        assert_eq!(status(&access, &read), 200, "{headers:?}");
    };
    check(&[], 200);
    check(&[("sec-fetch-site", "same-origin")], 200);
    check(&[("sec-fetch-site", "none")], 200);
    check(&[("sec-fetch-site", "cross-site")], 403);
    check(&[("sec-fetch-site", "same-site")], 403);
    check(&[("origin", "http://127.0.0.1:4040")], 200);
    check(&[("origin", "http://127.0.0.1:9999")], 403);
    check(&[("origin", "https://attacker.example")], 403);
    check(&[("origin", "null")], 403);
    let trusted = ("origin", "https://grafana.example.com");
    check(&[trusted], 200);
    check(&[trusted, ("sec-fetch-site", "cross-site")], 200);
}

#[test]
fn only_a_direct_loopback_peer_is_local() {
    let access = access(AccessOptions::default());
    let check = |peer: &str, expected: Caller| {
        let admitted = access.admit(connection(peer, "10.0.0.1"), &request(Method::PUT, &[]));
        assert_eq!(admitted.ok(), Some(expected), "{peer}");
    };
    check("127.0.0.1", Caller::Local);
    check("127.0.0.53", Caller::Local);
    check("::1", Caller::Local);
    check("::ffff:127.0.0.1", Caller::Local);
    check("10.0.0.1", Caller::Remote);
    check("::ffff:10.0.0.1", Caller::Remote);
}

#[test]
fn forwarding_header_of_an_untrusted_proxy_makes_a_caller_remote() {
    let access = access(AccessOptions::default());
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-host", "davy.example.com"),
        ("via", "1.1 proxy"),
    ] {
        let headers = request(Method::PUT, &[(name, value)]).headers().clone();
        assert_eq!(access.caller(LOOPBACK, &headers), Caller::Remote, "{name}");
    }
}

#[test]
fn trusted_proxy_decides_by_every_address_that_it_forwards() {
    let networks = ["127.0.0.0/8", "10.0.0.0/8"];
    let access = access(AccessOptions {
        trusted_proxies: networks
            .map(|text| text.parse().expect("a network"))
            .to_vec(),
        ..AccessOptions::default()
    });
    let check = |peer: &str, headers: &[(&str, &str)], expected: Caller| {
        let request = request(Method::PUT, headers);
        let peer = peer.parse().expect("an address");
        assert_eq!(
            access.caller(peer, request.headers()),
            expected,
            "{headers:?}"
        );
    };
    let local = Caller::Local;
    check("127.0.0.1", &[("x-forwarded-for", "127.0.0.1")], local);
    check(
        "127.0.0.1",
        &[("x-forwarded-for", "127.0.0.1:3000, ::1")],
        local,
    );
    check(
        "127.0.0.1",
        &[("forwarded", "proto=http;For=\"[::1]:5000\"")],
        local,
    );
    let remote = Caller::Remote;
    check("127.0.0.1", &[("x-forwarded-for", "203.0.113.7")], remote);
    // The client wrote the first address itself; the proxy appended the second.
    check(
        "127.0.0.1",
        &[("x-forwarded-for", "127.0.0.1, 203.0.113.7")],
        remote,
    );
    check(
        "127.0.0.1",
        &[("forwarded", "for=127.0.0.1, for=203.0.113.7")],
        remote,
    );
    check("127.0.0.1", &[("forwarded", "for=unknown")], remote);
    check("127.0.0.1", &[("forwarded", "proto=https")], remote);
    check("127.0.0.1", &[("via", "1.1 proxy")], remote);
    let disagreeing = [
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=127.0.0.1"),
    ];
    check("127.0.0.1", &disagreeing, remote);
    // A loopback address of another machine.
    check("10.0.0.2", &[("x-forwarded-for", "127.0.0.1")], remote);
}

#[test]
fn changes_need_the_token_or_a_local_caller() {
    let bearer = |token: &str| {
        let value = format!("Bearer {token}");
        request(Method::PUT, &[("authorization", &value)])
            .headers()
            .clone()
    };
    let check = |options: AccessOptions, caller: Caller, headers: &HeaderMap, expected: u16| {
        let status = match access(options.clone()).may_change(caller, headers) {
            Ok(()) => 200,
            Err(problem) => problem.status.as_u16(),
        };
        assert_eq!(status, expected, "{caller:?} {options:?}");
    };
    let none = HeaderMap::new();
    let open = AccessOptions::default();
    check(open.clone(), Caller::Local, &none, 200);
    check(open, Caller::default(), &none, 403);
    let token = AccessOptions {
        token: "secret".to_owned(),
        ..AccessOptions::default()
    };
    check(token.clone(), Caller::Local, &none, 401);
    check(token.clone(), Caller::Local, &bearer("secrex"), 401);
    check(token, Caller::Remote, &bearer("secret"), 200);
    let no_exception = AccessOptions {
        require_token: true,
        ..AccessOptions::default()
    };
    check(no_exception, Caller::Local, &none, 403);
}
