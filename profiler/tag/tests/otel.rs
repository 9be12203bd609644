//! Reads the tags of another process's threads, as OTEP 4719 and 4947 specify.
#![cfg(target_os = "linux")]

use davy_tag::{Tag, otel};
use object::elf::{FileHeader64, PT_TLS};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSymbol};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

/// Set in the process that is read.
const TARGET: &str = "DAVY_TAG_OTEL_TARGET";

/// Reports the id of this thread to the reader, and waits until the reader exits.
fn wait_for_reader(what: &str) {
    // SAFETY: gettid only returns a number.
    let thread = unsafe { libc::gettid() };
    eprintln!("thread {what} {thread}");
    let _ = std::io::stdin().lock().read(&mut [0]);
    std::process::exit(0);
}

#[test]
#[ignore = "a child process of the other test"]
fn process_that_is_read() {
    if std::env::var_os(TARGET).is_none() {
        return davy_test_support::skip("runs only as a child process of another test");
    }
    otel::publish(&[("service.name", "target")]).expect("publish the context");
    otel::publish(&[]).expect_err("a process has only one context");
    let outer = Tag::new("gc.volumes", "sweep");
    let inner = Tag::new("api", "ListAllJobs");
    let threads = [
        std::thread::spawn(|| wait_for_reader("untagged")),
        std::thread::spawn(move || {
            let _guard = outer.enter();
            wait_for_reader("tagged");
        }),
        std::thread::spawn(move || {
            let _guard = outer.enter();
            drop(inner.enter());
            wait_for_reader("inner-ended");
        }),
        std::thread::spawn(move || {
            drop(outer.enter());
            wait_for_reader("ended");
        }),
        std::thread::spawn(move || {
            let mut future = std::pin::pin!(inner.wrap(async { wait_for_reader("polled") }));
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = future.as_mut().poll(&mut context);
        }),
    ];
    for thread in threads {
        let _ = thread.join();
    }
}

/// Reads another process, as a profiler does.
struct Reader {
    memory: File,
    /// Offset of the variable from the thread pointer.
    offset: i64,
    keys: Vec<String>,
    resource: BTreeMap<String, String>,
}

impl Reader {
    fn new(pid: i32) -> Self {
        let memory = File::open(format!("/proc/{pid}/mem")).expect("readable");
        let (resource, attributes) = context(pid, &memory);
        let schema = strings(&attributes["threadlocal.schema_version"]);
        assert_eq!(schema, ["tlsdesc_v1_dev"]);
        let keys = fields(&attributes["threadlocal.attribute_key_map"]);
        let keys = fields(keys[0].1).into_iter().flat_map(|(_, v)| strings(v));
        Self {
            offset: offset(pid),
            keys: keys.collect(),
            resource: resource
                .into_iter()
                .map(|(key, value)| (key, strings(&value).concat()))
                .collect(),
            memory,
        }
    }

    fn word(&self, address: u64) -> u64 {
        let mut word = [0; 8];
        self.memory
            .read_exact_at(&mut word, address)
            .expect("mapped");
        u64::from_ne_bytes(word)
    }

    /// Stops a thread and reads its attributes; `None` if it has no context.
    fn attributes(&self, thread: i32) -> Option<BTreeMap<String, String>> {
        let stopped = Stopped::new(thread);
        let slot = stopped.thread_pointer().wrapping_add_signed(self.offset);
        let record = self.word(slot);
        if record == 0 {
            return None;
        }
        assert_eq!(record % 2, 0, "aligned");
        let mut head = [0; 28];
        self.memory
            .read_exact_at(&mut head, record)
            .expect("mapped");
        assert_eq!(
            (head[..24].to_vec(), head[24], head[25]),
            (vec![0; 24], 1, 0)
        );
        let mut data = vec![0; u16::from_ne_bytes([head[26], head[27]]).into()];
        self.memory
            .read_exact_at(&mut data, record + 28)
            .expect("mapped");
        let mut attributes = BTreeMap::new();
        let mut rest = &data[..];
        while let [key, length, more @ ..] = rest {
            let (value, next) = more.split_at((*length).into());
            let value = String::from_utf8(value.to_vec()).expect("UTF-8");
            attributes.insert(self.keys[usize::from(*key)].clone(), value);
            rest = next;
        }
        Some(attributes)
    }
}

/// Attributes, as encoded values.
type Values = BTreeMap<String, Vec<u8>>;

/// Reads the named mapping of OTEP 4719. Returns the attributes of the resource and of the process.
fn context(pid: i32, memory: &File) -> (Values, Values) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("readable");
    let is_named = |line: &&str| line.contains("/memfd:OTEL_CTX") || line.contains(":OTEL_CTX]");
    let found: Vec<&str> = maps.lines().filter(is_named).collect();
    assert_eq!(found.len(), 1, "one context: {found:?}");
    let begin = found[0].split('-').next().expect("an address");
    let begin = u64::from_str_radix(begin, 16).expect("a number");
    let mut header = [0; 32];
    memory.read_exact_at(&mut header, begin).expect("mapped");
    assert_eq!(&header[..8], b"OTEL_CTX");
    let word = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().expect("four"));
    let long = |at: usize| u64::from_ne_bytes(header[at..at + 8].try_into().expect("eight"));
    assert_eq!(word(8), 2);
    assert_ne!(long(16), 0, "published");
    let mut payload = vec![0; word(12) as usize];
    memory
        .read_exact_at(&mut payload, long(24))
        .expect("mapped");
    let pair = |bytes: &[u8]| {
        let pair = fields(bytes);
        let key = String::from_utf8(pair[0].1.to_vec()).expect("UTF-8");
        (key, pair[1].1.to_vec())
    };
    let (mut resource, mut attributes) = (Values::new(), Values::new());
    for (number, bytes) in fields(&payload) {
        match number {
            1 => resource.extend(fields(bytes).into_iter().map(|(_, bytes)| pair(bytes))),
            2 => attributes.extend([pair(bytes)]),
            other => panic!("unexpected field {other} in ProcessContext"),
        }
    }
    (resource, attributes)
}

/// The fields of a protobuf message whose fields are all length-delimited.
fn fields(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut all = Vec::new();
    while let [key, rest @ ..] = bytes {
        assert_eq!(key & 7, 2, "length-delimited");
        let last = rest.iter().position(|byte| byte & 0x80 == 0).expect("ends");
        let parts = rest[..=last].iter().rev();
        let length = parts.fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
        let (value, next) = rest[last + 1..].split_at(length);
        all.push((key >> 3, value));
        bytes = next;
    }
    all
}

/// The strings of an `AnyValue`.
fn strings(value: &[u8]) -> Vec<String> {
    let texts = fields(value).into_iter().filter(|(number, _)| *number == 1);
    texts
        .map(|(_, text)| String::from_utf8(text.to_vec()).expect("UTF-8"))
        .collect()
}

/// Offset of the variable from the thread pointer in an executable, as OTEP 4947 specifies.
fn offset(pid: i32) -> i64 {
    let bytes = std::fs::read(format!("/proc/{pid}/exe")).expect("readable");
    let file = object::read::elf::ElfFile64::<Endianness>::parse(&*bytes).expect("ELF");
    let symbol = file
        .dynamic_symbols()
        .find(|symbol| symbol.name() == Ok("otel_thread_ctx_v1"))
        .expect("the symbol is exported");
    let header = FileHeader64::<Endianness>::parse(&*bytes).expect("ELF");
    let endian = header.endian().expect("known");
    let segments = header.program_headers(endian, &*bytes).expect("segments");
    let tls = segments
        .iter()
        .find(|segment| segment.p_type(endian) == PT_TLS)
        .expect("thread-locals");
    let align = tls.p_align(endian).max(1);
    if cfg!(target_arch = "x86_64") {
        // Thread-locals of the executable end at the thread pointer.
        symbol.address() as i64 - tls.p_memsz(endian).next_multiple_of(align) as i64
    } else {
        // They begin two words after the thread pointer.
        (symbol.address() + 16u64.next_multiple_of(align)) as i64
    }
}

/// Stops a thread until it is dropped.
struct Stopped(i32);

impl Stopped {
    fn new(thread: i32) -> Self {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: stops a thread of a child process, and waits for that.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, none, none), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
            let mut status = 0;
            assert_eq!(libc::waitpid(thread, &raw mut status, libc::__WALL), thread);
            assert!(libc::WIFSTOPPED(status));
        }
        Self(thread)
    }

    #[cfg(target_arch = "x86_64")]
    fn thread_pointer(&self) -> u64 {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: the thread is stopped, and all zeros are valid registers.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            let into = &raw mut registers;
            assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, self.0, none, into), 0);
            registers.fs_base
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn thread_pointer(&self) -> u64 {
        /// The thread-pointer register, from <elf.h>.
        const NT_ARM_TLS: usize = 0x401;
        let mut pointer = 0u64;
        let mut into = libc::iovec {
            iov_base: (&raw mut pointer).cast(),
            iov_len: 8,
        };
        // SAFETY: the thread is stopped, and the register has 8 bytes.
        let got =
            unsafe { libc::ptrace(libc::PTRACE_GETREGSET, self.0, NT_ARM_TLS, &raw mut into) };
        assert_eq!(got, 0);
        pointer
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: resumes a stopped thread.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

/// A child process that is killed when the test ends.
struct Target(Child);

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_process_can_read_member_and_operation_of_each_thread() {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "process_that_is_read",
            "--exact",
            "--ignored",
            "--nocapture",
        ])
        .env(TARGET, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = Target(child.expect("started"));
    let stderr = child.0.stderr.take().expect("piped");
    let mut threads = BTreeMap::new();
    for line in BufReader::new(stderr).lines() {
        let line = line.expect("text");
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["thread", what, number] = words[..] else {
            panic!("{line}");
        };
        threads.insert(what.to_owned(), number.parse::<i32>().expect("a number"));
        if threads.len() == 5 {
            break;
        }
    }
    let reader = Reader::new(child.0.id() as i32);
    assert_eq!(reader.keys, ["davy.member", "davy.op"]);
    assert_eq!(reader.resource["service.name"], "target");
    let check = |what: &str, expected: Option<(&str, &str)>| {
        let attributes = reader.attributes(threads[what]);
        let found = attributes
            .as_ref()
            .map(|of| (of["davy.member"].as_str(), of["davy.op"].as_str()));
        assert_eq!(found, expected, "{what}");
    };
    check("untagged", None);
    check("tagged", Some(("gc.volumes", "sweep")));
    check("inner-ended", Some(("gc.volumes", "sweep")));
    check("ended", None);
    check("polled", Some(("api", "ListAllJobs")));
}
