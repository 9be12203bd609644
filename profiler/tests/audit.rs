//! Checks in the machine code of this program which functions the signal handler can reach.
#![cfg(target_arch = "x86_64")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Where the search starts.
const HANDLER: &str = "davy_profiler::cpu::signal::on_sigprof";

/// Calls a function pointer that it is given: a closure of `by_framehop`, where the search starts as well.
const CALLS_BACK: &str = "framehop::dwarf::eval_expr";
const CALLED_BACK: &str = "davy_profiler::unwind::by_framehop";

/// Prefixes of functions that may be reached.
const ALLOWED: [&str; 13] = [
    "davy_profiler::",
    "davy_tag::",
    "framehop::",
    "<framehop::",
    "<u64 as framehop::",
    "gimli::",
    "<gimli::",
    "core::",
    "<core::",
    "<[u8; 2] as core::",
    "<[u8; 4] as core::",
    // Vectors of fixed capacity, which do not allocate.
    "arrayvec::",
    "<arrayvec::",
];

/// Functions of the C library that may be reached: system calls, clocks, and copies of bytes.
const ALLOWED_IN_LIBC: [&str; 8] = [
    "syscall",
    "clock_gettime",
    "__errno_location",
    "memcpy",
    "memmove",
    "memset",
    "memcmp",
    "bcmp",
];

/// Functions that end the search: only a panic reaches them, and a panic in the handler is a bug anyway.
const PANICS: [&str; 7] = [
    "core::panicking::",
    "core::option::",
    "core::result::",
    "core::slice::index::",
    "core::str::",
    "core::slice::copy_from_slice_impl",
    "_Unwind_Resume",
];

fn objdump(arguments: &[&str]) -> String {
    let own = std::env::current_exe().expect("this test");
    let output = Command::new("objdump").args(arguments).arg(own).output();
    let output = output.expect("binutils are installed").stdout;
    String::from_utf8_lossy(&output).into_owned()
}

fn number(hex: &str) -> Option<u64> {
    u64::from_str_radix(hex.trim_start_matches("0x"), 16).ok()
}

/// A name without the hash of legacy mangling and without suffixes added by LLVM or the linker.
fn plain(name: &str) -> &str {
    let name = name.split(".llvm.").next().unwrap_or(name);
    let name = name.split('@').next().unwrap_or(name);
    match name.rsplit_once("::h") {
        Some((plain, hash)) if hash.len() == 16 => plain,
        _ => name,
    }
}

/// The target of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    /// A function of this file, by its address, because names are not unique.
    Own(u64),
    /// A function of a library, by its name.
    Imported(String),
    /// A function pointer in a register or in memory.
    Pointer,
}

#[derive(Default)]
struct Code {
    names: BTreeMap<u64, String>,
    calls: BTreeMap<u64, BTreeSet<Call>>,
}

impl Code {
    fn read() -> Self {
        let text = objdump(&["-d", "--no-show-raw-insn", "-C"]);
        let header = |line: &str| {
            let (address, rest) = line.split_once(' ')?;
            let name = rest.strip_prefix('<')?.strip_suffix(">:")?;
            Some((number(address)?, plain(name).to_owned()))
        };
        let mut code = Self {
            names: text.lines().filter_map(header).collect(),
            ..Self::default()
        };
        // Slots that the loader fills with addresses of functions of this file.
        let relocations = objdump(&["-R"]);
        let slots: BTreeMap<u64, u64> = relocations
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace();
                let (slot, _, target) = (words.next()?, words.next()?, words.next()?);
                Some((number(slot)?, number(target.strip_prefix("*ABS*+")?)?))
            })
            .collect();
        let mut function = 0;
        for line in text.lines() {
            if let Some((address, _)) = header(line) {
                function = address;
            } else if let Some(call) = code.call(line, &slots) {
                code.calls.entry(function).or_default().insert(call);
            }
        }
        code
    }

    /// The call or the jump to another function in a line of disassembly.
    fn call(&self, line: &str, slots: &BTreeMap<u64, u64>) -> Option<Call> {
        let (_, instruction) = line.split_once(":\t")?;
        let (operation, operand) = instruction.split_once(char::is_whitespace)?;
        let operand = operand.trim();
        let is_call = operation == "call";
        if !is_call && operation != "jmp" {
            return None;
        }
        // `*0x2206(%rip)   # 3d0ce8 <name@VERSION>`: through a slot.
        if let Some((_, slot)) = operand.split_once("# ") {
            let (address, name) = slot.split_once(" <")?;
            return Some(match slots.get(&number(address)?) {
                Some(target) => Call::Own(*target),
                None => Call::Imported(plain(name.strip_suffix('>')?).to_owned()),
            });
        }
        if operand.starts_with('*') {
            // An indirect jump is the jump table of a `match`.
            return is_call.then_some(Call::Pointer);
        }
        let address = number(operand.split(' ').next()?)?;
        // A jump that is not to the start of a function stays within one.
        self.names
            .contains_key(&address)
            .then_some(Call::Own(address))
    }

    fn named(&self, is_it: impl Fn(&str) -> bool) -> Vec<u64> {
        let found = self.names.iter().filter(|(_, name)| is_it(name));
        found.map(|(address, _)| *address).collect()
    }

    /// The number of functions reached from these, and the call paths to those that are not allowed.
    fn forbidden(&self, from: &[u64]) -> (usize, Vec<String>) {
        let begins = |name: &str, with: &[&str]| with.iter().any(|prefix| name.starts_with(prefix));
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        let name = |address: &u64| self.names[address].clone();
        let mut open: Vec<_> = from.iter().map(|at| (*at, name(at))).collect();
        while let Some((function, path)) = open.pop() {
            for call in self.calls.get(&function).into_iter().flatten() {
                let name = match call {
                    Call::Own(address) => self.names.get(address).map_or("?", String::as_str),
                    Call::Imported(name) => name,
                    Call::Pointer => "a pointer",
                };
                if begins(name, &PANICS) || !seen.insert(call.clone()) {
                    continue;
                }
                let path = format!("{path} -> {name}");
                match call {
                    Call::Own(address) if begins(name, &ALLOWED) => open.push((*address, path)),
                    Call::Pointer if self.names[&function].starts_with(CALLS_BACK) => {}
                    _ if ALLOWED_IN_LIBC.contains(&name) => {}
                    _ => found.push(path),
                }
            }
        }
        (seen.len(), found)
    }
}

#[test]
fn signal_handler_reaches_nothing_that_allocates_locks_or_waits() {
    let code = Code::read();
    let from = code.named(|name| name == HANDLER || name.starts_with(CALLED_BACK));
    let (reached, found) = code.forbidden(&from);
    println!("{reached} functions are reached");
    assert!(reached > 10, "the search reached the unwinder: {reached}");
    assert_eq!(found, [] as [&str; 0]);
}

#[test]
fn audit_detects_an_allocation() {
    let code = Code::read();
    let (_, found) = code.forbidden(&code.named(|name| name == "audit::allocates"));
    assert!(!found.is_empty());
    assert_eq!(allocates().len(), 1);
}

#[inline(never)]
fn allocates() -> Vec<u8> {
    // Referring to the profiler links its handler into this program.
    let start: fn(davy_profiler::Builder) -> Result<_, _> = davy_profiler::Builder::start;
    vec![u8::from(std::hint::black_box(start) as usize == 0)]
}
