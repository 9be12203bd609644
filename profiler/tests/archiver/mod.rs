//! A small archiver on a loopback port, which speaks HTTP/1.1 and keeps the windows that are pushed.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses its own part"
)]

use davy_profile::{Limits, Profile};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// One window of a push.
pub struct Push {
    pub labels: Vec<(String, String)>,
    pub id: String,
    pub profile: Profile,
    pub authorization: Option<String>,
    /// The content encoding of the request.
    pub encoding: Option<String>,
    /// The status of the response.
    pub status: u16,
    /// Different for each request.
    pub request: usize,
}

impl Push {
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value)
    }
}

/// A connection, encrypted or not.
pub trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

pub struct Archiver {
    scheme: &'static str,
    pub address: SocketAddr,
    pub pushes: mpsc::Receiver<Push>,
    /// Status and headers of the next responses; 200 when there are no more.
    pub answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
    /// Connections that windows came over.
    pub connections: Arc<AtomicUsize>,
    uploads: Arc<Mutex<Vec<Upload>>>,
}

/// An uploaded symbol index.
#[derive(Clone)]
pub struct Upload {
    pub build_id: String,
    pub index: Vec<u8>,
}

impl Archiver {
    pub fn start() -> Self {
        Self::start_with("http", |stream, serve| serve(Box::new(stream)))
    }

    /// Starts at an address that was in use before.
    pub fn start_at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).expect("the port is still free");
        Self::start_on("http", listener, |stream, serve| serve(Box::new(stream)))
    }

    /// Starts with a function that wraps each TCP connection before it is served.
    pub fn start_with(
        scheme: &'static str,
        accept: impl Fn(TcpStream, &dyn Fn(Box<dyn Stream>)) + Clone + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        Self::start_on(scheme, listener, accept)
    }

    fn start_on(
        scheme: &'static str,
        listener: TcpListener,
        accept: impl Fn(TcpStream, &dyn Fn(Box<dyn Stream>)) + Clone + Send + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("bound");
        let (sender, pushes) = mpsc::channel();
        let answers = Arc::new(Mutex::new(VecDeque::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (scripted, counted) = (Arc::clone(&answers), Arc::clone(&connections));
        let uploads = Arc::default();
        let stored = Arc::clone(&uploads);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (sender, answers) = (sender.clone(), Arc::clone(&scripted));
                let (uploads, counted) = (Arc::clone(&stored), Arc::clone(&counted));
                let accept = accept.clone();
                std::thread::spawn(move || {
                    accept(stream, &|stream| {
                        serve(stream, &sender, &answers, &uploads, &counted);
                    });
                });
            }
        });
        Self {
            scheme,
            address,
            pushes,
            answers,
            connections,
            uploads,
        }
    }

    /// The build ids and symbol indices that were uploaded so far.
    pub fn uploads(&self) -> Vec<Upload> {
        self.uploads.lock().expect("no panic").clone()
    }

    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Adds a response to send instead of 200.
    pub fn answer(&self, status: u16, headers: &'static str) {
        self.answers
            .lock()
            .expect("no panic")
            .push_back((status, headers));
    }

    /// The next window. Panics if none is pushed within 30 s.
    pub fn next(&self) -> Push {
        self.pushes
            .recv_timeout(Duration::from_secs(30))
            .expect("a window is pushed")
    }

    /// The next window of this kind.
    pub fn next_of(&self, name: &str) -> Push {
        std::iter::repeat_with(|| self.next())
            .find(|push| push.label("__name__") == name)
            .expect("`next` returns one or panics")
    }

    /// Every window so far of a client that has ended, and whose last request may still be in transit.
    pub fn all_now(&self) -> Vec<Push> {
        let mut all = self.all();
        while let Ok(push) = self.pushes.recv_timeout(Duration::from_millis(300)) {
            all.push(push);
        }
        all
    }

    /// Every window that has arrived since the last call.
    pub fn all(&self) -> Vec<Push> {
        self.pushes.try_iter().collect()
    }
}

fn read_chunks(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).expect("the size of a chunk");
        let size = usize::from_str_radix(size.trim(), 16).expect("hexadecimal");
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).expect("a whole chunk");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let limits = Limits {
        bytes: 1 << 30,
        ..Limits::default()
    };
    let unpacked = davy_profile::gzip::unpack(bytes, &limits);
    unpacked.expect("gzip").into_owned()
}

fn serve(
    stream: impl Read + Write,
    sender: &mpsc::Sender<Push>,
    answers: &Mutex<VecDeque<(u16, &'static str)>>,
    uploads: &Mutex<Vec<Upload>>,
    connections: &AtomicUsize,
) {
    let mut reader = BufReader::new(stream);
    let mut has_pushed = false;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim().to_owned());
        }
        let header = |name: &str| {
            head.iter().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name)
                    .then(|| value.trim().to_owned())
            })
        };
        let length = header("content-length").map(|length| length.parse().expect("a number"));
        let body = match length {
            Some(length) => {
                let mut body = vec![0; length];
                reader.read_exact(&mut body).expect("a whole body");
                body
            }
            None if header("transfer-encoding").is_some() => read_chunks(&mut reader),
            None => Vec::new(),
        };
        if let Some(symbols) = head[0].strip_suffix(" HTTP/1.1") {
            let (method, path) = symbols.split_once(' ').expect("a request line");
            if let Some(build_id) = path.strip_prefix("/api/v1/symbols/") {
                let (build_id, _query) = build_id.split_once('?').unwrap_or((build_id, ""));
                let mut uploads = uploads.lock().expect("no panic");
                let is_there = uploads.iter().any(|upload| upload.build_id == build_id);
                let status = match method {
                    "GET" if is_there => 200,
                    "GET" => 404,
                    method => {
                        assert_eq!(
                            (method, header("content-encoding").as_deref()),
                            ("PUT", Some("gzip"))
                        );
                        uploads.push(Upload {
                            build_id: build_id.to_owned(),
                            index: gunzip(&body),
                        });
                        204
                    }
                };
                let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                let _ = reader.get_mut().write_all(answer.as_bytes());
                let _ = reader.get_mut().flush();
                continue;
            }
        }
        assert_eq!(head[0], "POST /push.v1.PusherService/Push HTTP/1.1");
        assert_eq!(header("content-type").as_deref(), Some("application/proto"));
        // An empty push only asks to hurry, over a connection of its own.
        let is_push = !body.is_empty();
        if !has_pushed && is_push {
            has_pushed = true;
            connections.fetch_add(1, Ordering::SeqCst);
        }
        let answer = is_push.then(|| answers.lock().expect("no panic").pop_front());
        let (status, headers) = answer.flatten().unwrap_or((200, ""));
        let encoding = header("content-encoding");
        let body = match encoding.as_deref() {
            Some("zstd") => zstd::stream::decode_all(&body[..]).expect("zstd"),
            other => {
                assert_eq!(other, None);
                body
            }
        };
        let request = REQUESTS.fetch_add(1, Ordering::Relaxed);
        // Stored before the response, so that a test finds the window as soon as it is acknowledged.
        for mut push in parse(&body) {
            push.authorization = header("authorization");
            push.encoding.clone_from(&encoding);
            push.status = status;
            push.request = request;
            let _ = sender.send(push);
        }
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n");
        let _ = reader.get_mut().write_all(answer.as_bytes());
        let _ = reader.get_mut().flush();
    }
}

static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// The fields of a protobuf message. All fields here are length-delimited.
fn fields(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut fields = Vec::new();
    while let Some((key, rest)) = bytes.split_first() {
        assert_eq!(key & 7, 2, "length-delimited");
        let (mut length, mut shift, mut at) = (0usize, 0, 0);
        loop {
            length |= usize::from(rest[at] & 0x7f) << shift;
            shift += 7;
            at += 1;
            if rest[at - 1] & 0x80 == 0 {
                break;
            }
        }
        fields.push((key >> 3, &rest[at..at + length]));
        bytes = &rest[at + length..];
    }
    fields
}

/// The windows of a request, one per series.
fn parse(body: &[u8]) -> Vec<Push> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let series = |bytes: &[u8]| {
        let (mut labels, mut id, mut profile) = (Vec::new(), String::new(), None);
        for (number, bytes) in fields(bytes) {
            let parts = fields(bytes);
            if number == 1 {
                labels.push((text(parts[0].1), text(parts[1].1)));
            } else {
                id = text(parts[1].1);
                profile = Some(unpack(parts[0].1));
            }
        }
        Push {
            labels,
            id,
            profile: profile.expect("a sample"),
            authorization: None,
            encoding: None,
            status: 0,
            request: 0,
        }
    };
    fields(body)
        .iter()
        .map(|(_, bytes)| series(bytes))
        .collect()
}

/// Decodes a gzipped pprof profile.
pub fn unpack(bytes: &[u8]) -> Profile {
    let limits = Limits::default();
    let bytes = davy_profile::gzip::unpack(bytes, &limits).expect("gzip");
    davy_profile::pprof::decode(&bytes, &limits).expect("pprof")
}
