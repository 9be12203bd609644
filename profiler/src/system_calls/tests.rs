use super::*;
use rustc_hash::FxHashSet;
use std::process::Command;

/// The address and the mnemonic of every instruction of a file, by `objdump`.
fn objdump(path: &std::path::Path) -> Option<Vec<(u64, String)>> {
    let output = Command::new("objdump")
        .args(["-d", "--no-show-raw-insn"])
        .arg(path)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let rows = text.lines().filter_map(|line| {
        let (address, rest) = line.trim_start().split_once(":\t")?;
        Some((u64::from_str_radix(address, 16).ok()?, rest.to_owned()))
    });
    Some(rows.collect())
}

#[test]
fn instructions_of_libc_match_objdump_and_nearly_all_system_calls_have_names() {
    let list = loader::list();
    let Some(libc) = list.iter().find(|module| module.name.contains("/libc.so")) else {
        return davy_test_support::skip("the libc is linked statically");
    };
    let Some(rows) = objdump(&libc.path) else {
        return davy_test_support::skip("objdump is not installed");
    };
    let starts: FxHashSet<u64> = rows.iter().map(|(at, _)| at + libc.bias).collect();
    let (mut functions, mut known, mut last) = (0, 0, 0..0);
    for (at, _) in &rows {
        let address = at + libc.bias;
        if last.contains(&address) {
            continue;
        }
        let Some(range) = unwind::function_of(libc, address) else {
            continue;
        };
        // The entry of `__restore_rt` begins one byte early.
        if !starts.contains(&range.start) {
            continue;
        }
        functions += 1;
        let code = loader::readable(libc, &range).expect("readable");
        for begin in x86_64::starts(code).into_iter().flatten() {
            let at = range.start + begin as u64;
            assert!(starts.contains(&at), "{:#x}", at - libc.bias);
            known += usize::from(begin == 0);
        }
        last = range;
    }
    let calls = SystemCalls::default();
    let (mut all, mut named) = (0, 0);
    for (at, _) in rows.iter().filter(|(_, text)| text.starts_with("syscall")) {
        let leaf = at + libc.bias + INSTRUCTION.len() as u64;
        let name = calls.of_stack(&list, [leaf]).expect("a system call");
        all += 1;
        named += usize::from(!name.is_empty());
    }
    println!("{known} of {functions} functions, {named} of {all} system calls");
    assert!(known * 100 >= functions * 97, "{known} of {functions}");
    assert!(named * 100 >= all * 95, "{named} of {all}");
}
