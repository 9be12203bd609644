use super::*;
use davy_profile::symbol_index::{Found, SymbolIndex};
use object::{Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn index(path: &Path) -> SymbolIndex<Vec<u8>> {
    let mut bytes = Vec::new();
    build_symbol_index(path, &mut bytes).expect("an ELF file");
    let index = SymbolIndex::open(bytes).expect("an index");
    index.validate().expect("valid");
    index
}

/// Functions, source files and lines of an address, innermost first.
fn frames(index: &SymbolIndex<Vec<u8>>, address: u64) -> Vec<(String, String, u32)> {
    let found = index.find(address).unwrap_or_default();
    let text = |id| index.text(id).to_owned();
    let frames = found.frames.iter().rev();
    frames
        .map(|frame| (text(frame.function), text(frame.file), frame.line))
        .collect()
}

/// The offset in the file of an address that the file was linked for.
fn offset(elf: &object::File<'_>, address: u64) -> u64 {
    let mut segments = elf.segments();
    let found = segments
        .find(|segment| (segment.address()..segment.address() + segment.size()).contains(&address));
    let segment = found.expect("a segment");
    address - segment.address() + segment.file_range().0
}

/// The crate addr2line is another reader of the same debug information.
#[test]
fn index_has_the_inlined_functions_and_lines_that_addr2line_finds() {
    let own = std::env::current_exe().expect("this test has a path");
    let bytes = std::fs::read(&own).expect("readable");
    let elf = object::File::parse(&*bytes).expect("an executable");
    let starts = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 8)
        .flat_map(|symbol| {
            let middle = symbol.address() + symbol.size() / 2;
            let last = symbol.address() + symbol.size() - 1;
            [symbol.address(), middle, last]
        });
    let mut addresses: Vec<u64> = starts.collect();
    addresses.sort_unstable();
    addresses.dedup();
    let index = index(&own);
    let loader = addr2line::Loader::new(&own).expect("debug information");
    let (mut compared, mut inlined, mut differ) = (0, 0, Vec::new());
    for address in addresses.into_iter().step_by(7) {
        let mut expected = Vec::new();
        let mut found = loader.find_frames(address).expect("readable");
        while let Ok(Some(frame)) = found.next() {
            let location = frame.location.as_ref();
            let file = location.and_then(|location| location.file).unwrap_or("");
            let line = location.and_then(|location| location.line).unwrap_or(0);
            if frame.function.is_some() {
                expected.push((file.to_owned(), line));
            }
        }
        // Functions without debug information: those of C libraries.
        if expected.is_empty() {
            continue;
        }
        let ours = frames(&index, offset(&elf, address));
        let ours: Vec<_> = ours
            .iter()
            .map(|(_, file, line)| (file.clone(), *line))
            .collect();
        compared += 1;
        inlined += usize::from(ours.len() > 1);
        if ours != expected {
            differ.push((address, ours, expected));
        }
    }
    // Linkers fold functions with equal code, and each reader picks one of their descriptions.
    let allowed = compared / 200;
    assert!(
        compared > 1_000 && inlined > 300 && differ.len() <= allowed,
        "{} of {compared} differ, the first: {:#x?}",
        differ.len(),
        differ.first()
    );
}

/// Compiles a Rust program with closures and returns the names of all its functions. None if there is no compiler.
fn names_of_rust_program(debug_info: &str) -> Option<BTreeSet<String>> {
    const PROGRAM: &str = "mod handlers {
        #[inline(never)]
        pub async fn list(values: Vec<u64>) -> u64 {
            let double = |value: &u64| std::hint::black_box(*value) * 2;
            let sum: u64 = values.iter().map(double).sum();
            let block = async { std::hint::black_box(sum) + 1 };
            block.await
        }
    }
    fn main() {
        let mut list = std::pin::pin!(handlers::list(vec![1, 2]));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = std::hint::black_box(list.as_mut().poll(&mut context));
    }";
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.rs"), PROGRAM).expect("written");
    let mut rustc = Command::new("rustc");
    let rustc = rustc
        .args(["--edition=2024", "-O", "-g", "x.rs"])
        .arg(format!("-Cdebuginfo={debug_info}"));
    let output = rustc.current_dir(folder.path()).output().ok()?;
    assert!(output.status.success(), "{output:?}");
    let index = index(&folder.path().join("x"));
    let mut names = BTreeSet::new();
    for block in 0..index.blocks() {
        let each = |found: &Found| {
            let frames = found.frames.iter();
            names.extend(frames.map(|frame| index.text(frame.function).to_owned()));
            true
        };
        index.block(block, each).expect("valid");
    }
    Some(names)
}

#[test]
fn closures_and_async_blocks_name_the_function_that_contains_them() {
    let Some(names) = names_of_rust_program("limited") else {
        return davy_test_support::skip("no Rust compiler is installed");
    };
    let ours: Vec<_> = names
        .iter()
        .filter(|name| name.contains("handlers"))
        .collect();
    for expected in [
        "x::handlers::list::{async fn}",
        "x::handlers::list::{closure}::{async block#1}",
        "x::handlers::list::{closure}::{closure}",
    ] {
        let is_there = ours.iter().any(|name| name.as_str() == expected);
        assert!(is_there, "{expected} is missing: {ours:#?}");
    }
    assert!(
        !names
            .iter()
            .any(|name| name.contains("{{closure}}") || name.starts_with('{'))
    );
}

#[test]
fn closures_name_their_file_if_debug_information_has_no_paths() {
    let Some(names) = names_of_rust_program("line-tables-only") else {
        return davy_test_support::skip("no Rust compiler is installed");
    };
    assert!(
        ["{closure}", "{async fn}"].iter().all(|kind| names
            .iter()
            .any(|name| name.ends_with(&format!("/x.rs::{kind}")))),
        "{names:#?}"
    );
    assert!(
        !names.iter().any(|name| name.starts_with('{')),
        "{names:#?}"
    );
}

#[test]
fn stripped_file_is_named_by_function_starts() {
    let Some(stripped) = Stripped::build("-Wl,--build-id=sha1", "") else {
        return davy_test_support::skip(MISSING_TOOLS);
    };
    std::fs::remove_file(stripped.path("x.debug")).expect("removed");
    let index = index(&stripped.path("stripped"));
    let mut all = BTreeSet::new();
    for offset in [0, 1, 3] {
        let names = frames(&index, stripped.address + offset);
        let [(name, file, 0)] = names.as_slice() else {
            panic!("{names:?}");
        };
        assert!(
            name.starts_with("stripped+0x") && file.is_empty(),
            "{names:?}"
        );
        all.insert(name.clone());
    }
    assert_eq!(all.len(), 1, "one name for one function: {all:?}");
    assert!(all.iter().all(|name| index.is_placeholder(name)));
    assert_eq!(index.named(), 0);
}

/// The output of a program that succeeds; none if it fails or is not installed.
fn run_in(folder: &Path, program: &str, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(program);
    let output = command.args(arguments).current_dir(folder).output();
    output.ok().filter(|output| output.status.success())
}

#[test]
fn split_debug_information_is_read_from_the_file_beside_the_executable() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.c"), SOURCE).expect("written");
    let run = |program: &str, arguments: &[&str]| run_in(folder.path(), program, arguments);
    let arguments = ["-g", "-gsplit-dwarf", "-O1", "-o", "x", "x.c"];
    if run("cc", &arguments).is_none() {
        return davy_test_support::skip(MISSING_TOOLS);
    }
    let path = folder.path().join("x");
    let bytes = std::fs::read(&path).expect("readable");
    let elf = object::File::parse(&*bytes).expect("an executable");
    let address = elf.symbol_by_name("outer").expect("a symbol").address();
    let address = offset(&elf, address);
    assert_outer(&frames(&index(&path), address));
    if run("dwp", &["-e", "x"]).is_none() {
        return davy_test_support::skip("dwp is not installed");
    }
    for file in std::fs::read_dir(folder.path())
        .expect("a folder")
        .flatten()
    {
        if file
            .path()
            .extension()
            .is_some_and(|extension| extension == "dwo")
        {
            std::fs::remove_file(file.path()).expect("removed");
        }
    }
    assert_outer(&frames(&index(&path), address));
}

#[test]
fn debug_information_that_dwz_shares_between_files_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("x.c"), SOURCE).expect("written");
    let run = |program: &str, arguments: &[&str]| run_in(folder.path(), program, arguments);
    let compiled = ["x", "y"].map(|name| run("cc", &["-g", "-O1", "-o", name, "x.c"]));
    if compiled.iter().any(Option::is_none) {
        return davy_test_support::skip(MISSING_TOOLS);
    }
    if run("dwz", &["-m", "shared", "x", "y"]).is_none() {
        return davy_test_support::skip("dwz is not installed");
    }
    let path = folder.path().join("x");
    let bytes = std::fs::read(&path).expect("readable");
    let elf = object::File::parse(&*bytes).expect("an executable");
    let address = elf.symbol_by_name("outer").expect("a symbol").address();
    let address = offset(&elf, address);
    assert_outer(&frames(&index(&path), address));
}

#[test]
fn file_that_is_not_elf_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("text");
    std::fs::write(&path, "text").expect("written");
    let error = build_symbol_index(&path, Vec::new()).expect_err("text");
    assert!(
        error.to_string().starts_with("not a 64-bit ELF file"),
        "{error}"
    );
    let error = build_symbol_index(&folder.path().join("none"), Vec::new());
    assert_eq!(
        error.expect_err("missing").kind(),
        std::io::ErrorKind::NotFound
    );
}

/// A program in whose function `outer` the function `inner` is inlined.
const SOURCE: &str = "static inline __attribute__((always_inline)) int inner(volatile int *p) {\n\
                      return *p * 3;\n\
                      }\n\
                      __attribute__((noinline)) int outer(volatile int *p) {\n\
                      return inner(p) + *p;\n\
                      }\n\
                      int main(int count, char **arguments) {\n\
                      (void)arguments;\n\
                      return outer(&count);\n\
                      }\n";

/// Asserts that these are the frames at the start of `outer`.
fn assert_outer(frames: &[(String, String, u32)]) {
    let outer = frames.last();
    assert!(
        outer.is_some_and(|(name, file, line)| name == "outer"
            && file.ends_with("x.c")
            && (4..=5).contains(line)),
        "{frames:?}"
    );
}

/// A compiled program, stripped, with its debug information in a file of its own.
struct Stripped {
    folder: tempfile::TempDir,
    /// Address of the function `outer`, into which `inner` is inlined.
    address: u64,
}

impl Stripped {
    /// `build_id` is an option of the linker, `compress` one of objcopy. None if this machine has no C
    /// compiler or binutils.
    fn build(build_id: &str, compress: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let stripped = Self { folder, address: 0 };
        std::fs::write(stripped.path("x.c"), SOURCE).expect("written");
        stripped.run("cc", &["-g", "-O1", build_id, "-o", "x", "x.c"])?;
        let bytes = std::fs::read(stripped.path("x")).expect("readable");
        let elf = object::File::parse(&*bytes).expect("an executable");
        let address = elf.symbol_by_name("outer").expect("a symbol").address();
        let address = offset(&elf, address);
        stripped.run("objcopy", &["--only-keep-debug", compress, "x", "x.debug"])?;
        stripped.run(
            "objcopy",
            &[
                "--strip-all",
                "--add-gnu-debuglink=x.debug",
                "x",
                "stripped",
            ],
        )?;
        std::fs::remove_file(stripped.path("x")).expect("removed");
        Some(Self {
            address,
            ..stripped
        })
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Option<()> {
        let arguments = arguments.iter().filter(|argument| !argument.is_empty());
        let mut command = Command::new(program);
        let output = command.args(arguments).current_dir(self.folder.path());
        let output = output.output().ok()?;
        output.status.success().then_some(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The frames at the start of `outer`; none if only the unwind table has it.
    fn frames(&self) -> Vec<(String, String, u32)> {
        let mut frames = frames(&index(&self.path("stripped")), self.address);
        frames.retain(|(name, ..)| !name.starts_with("stripped+"));
        frames
    }

    fn has_compressed_debug_info(&self) -> bool {
        let bytes = std::fs::read(self.path("x.debug")).expect("readable");
        let elf = object::File::parse(&*bytes).expect("a debug file");
        let section = elf.section_by_name(".debug_info").expect("a section");
        let range = section.compressed_file_range().expect("a header");
        range.format != object::CompressionFormat::None
    }

    fn assert_named(&self) {
        assert_outer(&self.frames());
    }
}

const MISSING_TOOLS: &str = "no C compiler, or no binutils with this compression, is installed";

#[test]
fn stripped_file_is_resolved_by_a_debug_file_with_compressed_sections() {
    for compress in [
        "",
        "--compress-debug-sections=zlib",
        "--compress-debug-sections=zlib-gnu",
        "--compress-debug-sections=zstd",
    ] {
        let Some(stripped) = Stripped::build("-Wl,--build-id=sha1", compress) else {
            return davy_test_support::skip(MISSING_TOOLS);
        };
        assert_eq!(stripped.has_compressed_debug_info(), !compress.is_empty());
        println!("{compress:?}");
        stripped.assert_named();
    }
}

#[test]
fn debug_file_alone_is_refused_because_it_has_no_offsets_of_code() {
    let Some(stripped) = Stripped::build("-Wl,--build-id=sha1", "") else {
        return davy_test_support::skip(MISSING_TOOLS);
    };
    let error = super::build_symbol_index(&stripped.path("x.debug"), Vec::new());
    let error = error.expect_err("no code").to_string();
    assert!(error.contains("use the executable"), "{error}");
}

#[test]
fn debug_file_is_found_in_the_folder_dot_debug() {
    let Some(stripped) = Stripped::build("-Wl,--build-id=sha1", "") else {
        return davy_test_support::skip(MISSING_TOOLS);
    };
    std::fs::create_dir(stripped.path(".debug")).expect("created");
    std::fs::rename(stripped.path("x.debug"), stripped.path(".debug/x.debug")).expect("moved");
    stripped.assert_named();
}

#[test]
fn debug_file_without_a_build_id_is_used_only_if_its_checksum_matches() {
    let Some(stripped) = Stripped::build("-Wl,--build-id=none", "") else {
        return davy_test_support::skip(MISSING_TOOLS);
    };
    stripped.assert_named();
    let mut bytes = std::fs::read(stripped.path("x.debug")).expect("readable");
    bytes.push(0);
    std::fs::write(stripped.path("x.debug"), bytes).expect("written");
    assert_eq!(stripped.frames(), [], "wrong names are worse than none");
}

#[test]
fn debug_file_of_another_build_is_not_used() {
    let builds = [
        "-Wl,--build-id=0x0123456789abcdef",
        "-Wl,--build-id=0xfedcba9876543210",
    ];
    let [Some(stripped), Some(other)] = builds.map(|id| Stripped::build(id, "")) else {
        return davy_test_support::skip(MISSING_TOOLS);
    };
    std::fs::copy(other.path("x.debug"), stripped.path("x.debug")).expect("copied");
    assert_eq!(stripped.frames(), [], "wrong names are worse than none");
}

#[test]
fn stripped_copy_of_this_program_is_resolved_by_its_debug_file() {
    let own = std::env::current_exe().expect("this test has a path");
    let address = stripped_copy_of_this_program_is_resolved_by_its_debug_file as *const () as u64;
    let modules = crate::loader::list();
    let index = crate::modules::containing(&modules, address).expect("the executable is listed");
    let copy = Stripped {
        folder: tempfile::tempdir().expect("a folder"),
        address: address - modules[index].text.start + modules[index].text_offset,
    };
    let own = own.to_str().expect("UTF-8");
    let link = "--add-gnu-debuglink=x.debug";
    let done = copy
        .run("objcopy", &["--only-keep-debug", own, "x.debug"])
        .and_then(|()| copy.run("objcopy", &["--strip-all", link, own, "stripped"]));
    if done.is_none() {
        return davy_test_support::skip(MISSING_TOOLS);
    }
    let frames = copy.frames();
    let (name, _, line) = frames.last().expect("resolved");
    assert!(name.ends_with("stripped_copy_of_this_program_is_resolved_by_its_debug_file"));
    assert!(*line > 0);
}
