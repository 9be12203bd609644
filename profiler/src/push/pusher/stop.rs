//! A stop while a push waits for the archiver's next segment.

use super::*;
use crate::aggregate::Aggregate;
use crate::sample_kind::{ProfileMeta, SampleKind};
use crate::symbols::Symbols;
use davy_base::{Clock, Timestamp};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Reads a request; returns its stream, its head in lower case and the length of its body.
fn receive(listener: &TcpListener) -> (TcpStream, String, usize) {
    let (stream, _) = listener.accept().expect("a connection");
    let mut reader = BufReader::new(stream.try_clone().expect("the stream"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        reader.read_line(&mut head).expect("a line");
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).expect("a length");
    let length = length.lines().next().expect("a line").parse();
    let length = length.expect("a number");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    (stream, head, length)
}

fn acknowledge(mut stream: TcpStream) {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    stream.write_all(answer.as_bytes()).expect("an answer");
}

#[test]
fn stop_asks_the_archiver_to_store_the_push_that_it_waits_for() {
    let clock = Clock::manual(Timestamp::from_seconds(1_700_000_000));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let archiver = Archiver::parse(&url).expect("an address");
    let symbols = Arc::new(Symbols::new(false, None, clock.clone()));
    let outbox = Outbox::new(vec![archiver], 1 << 20, clock.clone(), symbols);
    let outbox = Arc::new(outbox);
    let settings = Settings::default();
    let pusher = std::thread::spawn({
        let (outbox, settings) = (Arc::clone(&outbox), settings.clone());
        move || outbox.run(&settings, Random::seeded(2))
    });
    outbox.add([RawWindow {
        meta: ProfileMeta {
            kind: SampleKind::Cpu,
            start: clock.now(),
            span: Duration::from_secs(10),
            period: 1,
        },
        aggregate: Aggregate::default(),
        modules: Arc::new([]),
    }]);
    let (push, head, length) = receive(&listener);
    assert!(length > 0 && !head.contains("davy-hurry"), "{head}");
    // Only the hurried request makes this archiver answer the first one.
    let archiver = std::thread::spawn(move || {
        let (hurry, head, length) = receive(&listener);
        assert!(length == 0 && head.contains("davy-hurry: 1"), "{head}");
        acknowledge(hurry);
        acknowledge(push);
    });
    let left = outbox.stop(Duration::from_mins(1), &settings);
    archiver.join().expect("asked to hurry");
    assert_eq!(left, None);
    pusher.join().expect("the pusher ends");
    assert_eq!(outbox.counts().pushed, 1);
}
