use super::*;
use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::path::PathBuf;
use std::process::Command;

#[test]
fn partial_debug_info_resolves_like_all_of_it() {
    let own = std::env::current_exe().expect("this test has a path");
    let bytes = std::fs::read(&own).expect("readable");
    let elf = object::File::parse(&*bytes).expect("an executable");
    let mut addresses: Vec<u64> = elf
        .symbols()
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 8)
        .map(|symbol| symbol.address() + symbol.size() / 2)
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    let loader = Loader::new(&own).expect("debug information");
    type Range = (u64, u64, Vec<NamedFrame>);
    fn emitted(info: &impl DebugInfo, addresses: &[u64]) -> (Vec<Range>, Vec<u64>) {
        let mut all = Vec::new();
        let without_lines = lines(info, addresses, |start, length, frames| {
            all.push((start, length, frames.to_vec()));
        });
        (all, without_lines)
    }
    let (mut complete, mut ranges) = (0, 0);
    for first in 0..20 {
        let some: Vec<u64> = addresses.iter().copied().skip(first).step_by(997).collect();
        let partial = PartialDebugInfo::open(&own, &some).expect("some units");
        let ours = emitted(&partial, &some);
        if partial.is_complete() {
            assert!(ours == emitted(&loader, &some));
            complete += 1;
            ranges += ours.0.len();
        }
    }
    assert!(
        complete > 0 && ranges > 1_000,
        "{complete} of 20, {ranges} ranges"
    );
}

#[test]
fn closure_without_a_path_is_qualified_by_its_file() {
    let check = |file, expected| assert_eq!(qualified("{closure#0}", file), expected);
    check("/home/x/service/src/api.rs", "src/api.rs::{closure#0}");
    check("api.rs", "api.rs::{closure#0}");
    check("", "{closure#0}");
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
        let folder = tempfile::tempdir().expect("a folder");
        let stripped = Self { folder, address: 0 };
        std::fs::write(stripped.path("x.c"), SOURCE).expect("written");
        stripped.run("cc", &["-g", "-O1", build_id, "-o", "x", "x.c"])?;
        let bytes = std::fs::read(stripped.path("x")).expect("readable");
        let elf = object::File::parse(&*bytes).expect("an executable");
        let address = elf.symbol_by_name("outer").expect("a symbol").address();
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

    /// Functions, source file names and lines at the start of `outer`, innermost first.
    fn frames(&self) -> Vec<(String, String, u32)> {
        let mut found = Vec::new();
        file(
            &self.path("stripped"),
            &[self.address],
            |start, length, frames| {
                if (start..start + length).contains(&self.address) {
                    found.extend(frames.iter().map(|frame| {
                        let file = frame.file.rsplit('/').next().unwrap_or_default();
                        (frame.function.to_string(), file.to_owned(), frame.line)
                    }));
                }
            },
        );
        found
    }

    fn has_compressed_debug_info(&self) -> bool {
        let bytes = std::fs::read(self.path("x.debug")).expect("readable");
        let elf = object::File::parse(&*bytes).expect("a debug file");
        let section = elf.section_by_name(".debug_info").expect("a section");
        let range = section.compressed_file_range().expect("a header");
        range.format != object::CompressionFormat::None
    }

    fn assert_named(&self) {
        let frames = self.frames();
        let outer = frames.last();
        assert!(
            outer.is_some_and(|(name, file, line)| name == "outer"
                && file == "x.c"
                && (4..=5).contains(line)),
            "{frames:?}"
        );
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
        address: address - modules[index].bias,
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
