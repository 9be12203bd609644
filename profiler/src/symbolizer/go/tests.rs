//! The runtime of Go knows its own frames, so a stripped program says what is expected of it.

use crate::symbolizer::build_symbol_index;
use davy_profile::symbol_index::SymbolIndex;
use object::{Object, ObjectSection, ObjectSymbol};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Prints, for every byte of some functions, its offset in the file and the innermost frame there.
const PROGRAM: &str = r#"package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"reflect"
	"runtime"
	"sort"
	"strings"
)

type shape struct{ sides []int }

func (s *shape) area() int { return s.longest() * len(s.sides) }

func (s *shape) longest() int {
	longest := 0
	for _, side := range s.sides {
		longest = larger(longest, side)
	}
	return longest
}

func larger(a, b int) int {
	if a > b {
		return a
	}
	return b
}

//go:noinline
func work(n int) int {
	s := &shape{make([]int, n)}
	for i := range s.sides {
		s.sides[i] = i * larger(i, 7)
	}
	return s.area()
}

func offset(pc uintptr) uintptr {
	maps, _ := os.Open("/proc/self/maps")
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var start, end, offset uintptr
		var access string
		fmt.Sscanf(lines.Text(), "%x-%x %s %x", &start, &end, &access, &offset)
		if start <= pc && pc < end {
			return offset - start
		}
	}
	panic("not mapped")
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	work(len(os.Args))
	for _, of := range []any{work, main, offset, (*shape).area, fmt.Fprintf, strings.Map, sort.Ints, os.ReadFile, json.Marshal, regexp.Compile} {
		entry := reflect.ValueOf(of).Pointer()
		shift := offset(entry)
		for pc := entry; runtime.FuncForPC(pc+1) != nil && runtime.FuncForPC(pc+1).Entry() == entry; pc++ {
			fmt.Fprintf(out, "%x", pc+shift)
			frame, _ := runtime.CallersFrames([]uintptr{pc + 1}).Next()
			fmt.Fprintf(out, "\t%s %s:%d", frame.Function, frame.File, frame.Line)
			fmt.Fprintln(out)
		}
	}
}
"#;

/// A program; `None` if there is no compiler.
fn program(folder: &Path, mode: &str, linker: &str) -> Option<PathBuf> {
    std::fs::write(folder.join("main.go"), PROGRAM).expect("written");
    let mut go = Command::new("go");
    go.args(["build", "-o", "program", mode, linker, "main.go"]);
    let go = go
        .current_dir(folder)
        .env("GO111MODULE", "off")
        .env("CGO_ENABLED", "0");
    let Ok(output) = go.output() else {
        davy_test_support::skip("no Go compiler: ops/dev/need go");
        return None;
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    Some(folder.join("program"))
}

const STRIPPED: &str = "-ldflags=-s -w";

fn index(path: &Path) -> (usize, SymbolIndex<Vec<u8>>) {
    let mut bytes = Vec::new();
    let sources = build_symbol_index(path, &mut bytes).expect("an ELF file");
    assert_eq!(sources.debug_info, 0, "stripped");
    let index = SymbolIndex::open(bytes).expect("an index");
    index.validate().expect("valid");
    (sources.symbols, index)
}

/// The frames at an offset, as the program prints them.
fn frames(index: &SymbolIndex<Vec<u8>>, offset: u64) -> String {
    let found = index.find(offset).unwrap_or_default();
    let frames = found.frames.iter().rev().map(|frame| {
        let (function, file) = (index.text(frame.function), index.text(frame.file));
        format!("\t{function} {file}:{}", frame.line)
    });
    frames.collect()
}

/// Names and lines of the frames at an offset, with the names of files without their folders.
fn short(index: &SymbolIndex<Vec<u8>>, offset: u64) -> Vec<String> {
    let found = frames(index, offset);
    let frames = found.split('\t').skip(1).map(|frame| {
        let (function, file) = frame.split_once(' ').unwrap_or_default();
        let (_, file) = file.rsplit_once('/').unwrap_or(("", file));
        format!("{function} {file}")
    });
    frames.collect()
}

#[test]
fn stripped_go_program_has_the_functions_and_lines_that_its_runtime_knows() {
    for mode in ["-buildmode=exe", "-buildmode=pie"] {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(path) = program(folder.path(), mode, STRIPPED) else {
            return;
        };
        let (_, index) = index(&path);
        let output = Command::new(&path).output().expect("runs");
        let output = String::from_utf8(output.stdout).expect("text");
        let (mut compared, mut inlined) = (0, 0);
        for line in output.lines() {
            let (offset, expected) = line.split_once('\t').expect("a frame");
            let offset = u64::from_str_radix(offset, 16).expect("an offset");
            let found = frames(&index, offset);
            let innermost = found.split('\t').nth(1).unwrap_or("");
            // The runtime leaves out type arguments, and padding has no position.
            let innermost = match innermost.split_once('[').zip(innermost.rsplit_once(']')) {
                Some(((function, _), (_, rest))) => format!("{function}[...]{rest}"),
                None => innermost.to_owned(),
            };
            let expected = expected.replace("?:0", ":0");
            assert_eq!(innermost, expected, "{mode} {offset:#x}: {found}");
            compared += 1;
            inlined += u32::from(found.matches('\t').count() > 1);
        }
        assert!(
            compared > 2_000 && inlined > 200,
            "{mode}: {inlined} of {compared}"
        );
    }
}

/// The same program with debug information has the same code.
#[test]
fn stripped_go_program_has_the_inlined_functions_that_debug_information_describes() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mode = "-trimpath";
    let Some(path) = program(folders[0].path(), mode, STRIPPED) else {
        return;
    };
    let (_, index) = index(&path);
    let whole = program(folders[1].path(), mode, "-ldflags=-compressdwarf=false");
    let whole = whole.expect("a compiler");
    let bytes = std::fs::read(&whole).expect("readable");
    let elf = object::File::parse(&*bytes).expect("an executable");
    let mut output = Vec::new();
    let sources = build_symbol_index(&whole, &mut output).expect("an ELF file");
    assert!(sources.debug_info > 1_000);
    let described = SymbolIndex::open(output).expect("an index");
    let text = elf.section_by_name(".text").expect("code");
    let (start, _) = text.file_range().expect("in the file");
    let functions = elf.symbols().filter(|symbol| {
        let name = symbol.name().unwrap_or("");
        ["main.", "encoding/json.", "sort."]
            .iter()
            .any(|package| name.starts_with(package))
            // Generated; its code has the positions of other functions in debug information.
            && name.rsplit('.').next() != Some("init")
    });
    let (mut compared, mut inlined, mut differ) = (0, 0, Vec::new());
    for function in functions.filter(|symbol| symbol.kind() == object::SymbolKind::Text) {
        for address in function.address()..function.address() + function.size() {
            let offset = address - text.address() + start;
            let (expected, found) = (short(&described, offset), short(&index, offset));
            compared += 1;
            inlined += u32::from(found.len() > 1);
            if found != expected {
                differ.push((address, found, expected));
            }
        }
    }
    assert!(
        compared > 10_000 && inlined > 1_000 && differ.len() < compared / 200,
        "{} of {compared} differ ({inlined} inlined), for example {:#x?}",
        differ.len(),
        differ
            .iter()
            .step_by(1 + differ.len() / 20)
            .collect::<Vec<_>>()
    );
}

/// Bytes of the tables are overwritten: the index is valid, or there is none.
#[test]
fn damaged_tables_of_go_give_fewer_names_and_do_no_harm() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(path) = program(folder.path(), "-buildmode=exe", STRIPPED) else {
        return;
    };
    let bytes = std::fs::read(&path).expect("readable");
    let elf = object::File::parse(&*bytes).expect("an executable");
    let section = elf.section_by_name(".gopclntab").expect("the table");
    let (start, length) = section.file_range().expect("in the file");
    let names = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        index(&path).0
    };
    let whole = names(&bytes);
    assert!(whole > 1_000, "{whole}");
    let mut random = davy_base::Random::seeded(3);
    for round in 0..40 {
        let mut damaged = bytes.clone();
        // The header has 72 bytes; the functions are in the last part.
        let within = if round % 2 == 0 { 72 } else { length };
        for _ in 0..=round * round {
            let at = (start + random.below(within)) as usize;
            damaged[at] = [0, 0xff, random.next_u64() as u8][random.below(3) as usize];
        }
        let found = names(&damaged);
        assert!(found <= whole, "{found} of {whole}");
    }
    // A table that ends in the middle.
    let mut cut = bytes.clone();
    cut[(start + length / 2) as usize..(start + length) as usize].fill(0);
    assert!(names(&cut) < whole);
}
