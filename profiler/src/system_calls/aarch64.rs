//! Finds the number of a system call in aarch64 code.
//!
//! Source: Arm Architecture Reference Manual for A-profile, section C4.1 (encodings). Instructions have four bytes, so
//! code can be read backwards. The number is the constant in `x8`, unless a jump leads to a place between the
//! instruction that sets it and the system call.

use super::value::Value;

/// `svc #0`.
const SYSTEM_CALL: u32 = 0xd400_0001;
const NOP: u32 = 0xd503_201f;
/// The register with the number.
const NUMBER: u32 = 8;
/// Maximum number of instructions before the system call that are read.
const BEFORE_MAX: usize = 16;
/// Only jumps within this many instructions are considered. The conditional jumps of functions are short.
const JUMPS_WITHIN: usize = 4_096;

/// The number of the system call at an offset of `code`. `None` if another instruction is there.
pub(super) fn system_call(code: &[u8], at: usize) -> Option<Value> {
    let is_call = at.is_multiple_of(4) && word(code, at) == Some(SYSTEM_CALL);
    is_call.then(|| number(code, at))
}

fn word(code: &[u8], at: usize) -> Option<u32> {
    let bytes = code.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn number(code: &[u8], call: usize) -> Value {
    for back in 1..=BEFORE_MAX {
        let begin = call.checked_sub(4 * back);
        let Some((begin, word)) = begin.and_then(|begin| Some((begin, word(code, begin)?))) else {
            break;
        };
        if let Some(number) = constant(word) {
            if is_jumped_into(code, begin, call) {
                break;
            }
            return Value::Constant(number);
        }
        if !keeps_number(word) {
            break;
        }
    }
    Value::Unknown
}

/// The constant that `movz` puts into the register with the number.
fn constant(word: u32) -> Option<u32> {
    const MOVZ_32: u32 = 0x5280_0000;
    const MOVZ_64: u32 = 0xd280_0000;
    // Without a shift of the immediate.
    let operation = word & 0xffe0_0000;
    let is_movz = operation == MOVZ_32 || operation == MOVZ_64;
    (is_movz && word & 31 == NUMBER).then_some(word >> 5 & 0xffff)
}

/// Whether an instruction is known to continue and not to write the register with the number.
fn keeps_number(word: u32) -> bool {
    let fields = [word & 31, word >> 5 & 31, word >> 10 & 31];
    match word >> 25 & 15 {
        // Data processing, with an immediate or registers: the lowest field is the only result.
        0b1000 | 0b1001 | 0b0101 | 0b1101 => fields[0] != NUMBER,
        // Loads and stores: two results, and a base that may be written. Atomic ones are not distinguished.
        0b0100 | 0b0110 | 0b1100 | 0b1110 => !fields.contains(&NUMBER) && word >> 16 & 31 != NUMBER,
        _ => word == NOP,
    }
}

/// Whether a jump leads to an offset after `begin` and up to `call`.
fn is_jumped_into(code: &[u8], begin: usize, call: usize) -> bool {
    let from = begin.saturating_sub(4 * JUMPS_WITHIN);
    let to = (call + 4 * JUMPS_WITHIN).min(code.len());
    (from..to).step_by(4).any(|at| {
        let offset = word(code, at).and_then(jump_offset);
        let target = offset.map(|offset| at as i64 + offset);
        target.is_some_and(|target| target > begin as i64 && target <= call as i64)
    })
}

/// Where a direct jump goes, relative to itself.
fn jump_offset(word: u32) -> Option<i64> {
    let signed =
        |field: u32, bits: u32| i64::from((field << (32 - bits)) as i32 >> (32 - bits)) * 4;
    if word >> 26 == 0b00_0101 {
        return Some(signed(word & 0x3ff_ffff, 26));
    }
    if word >> 25 == 0b010_1010 || word >> 25 & 0x3f == 0b01_1010 {
        return Some(signed(word >> 5 & 0x7_ffff, 19));
    }
    (word >> 25 & 0x3f == 0b01_1011).then(|| signed(word >> 5 & 0x3fff, 14))
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::{Object as _, ObjectSection as _};

    /// Checks the last word.
    #[track_caller]
    fn check(words: &[u32], expected: Option<Value>) {
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        assert_eq!(system_call(&code, code.len() - 4), expected);
    }

    /// `movz x8, #number`.
    fn mov_x8(number: u32) -> u32 {
        0xd280_0008 | number << 5
    }

    #[test]
    fn number_is_the_constant_in_x8() {
        check(&[mov_x8(64), SYSTEM_CALL], Some(Value::Constant(64)));
        // movz w8, #0x116
        check(&[0x5280_22c8, SYSTEM_CALL], Some(Value::Constant(278)));
        // mov x8, #221; mov x1, x20; ldr x2, [sp, #16]; nop; svc #0
        let between = [mov_x8(221), 0xaa14_03e1, 0xf940_0be2, NOP, SYSTEM_CALL];
        check(&between, Some(Value::Constant(221)));
    }

    #[test]
    fn number_is_unknown_if_another_instruction_may_write_it() {
        let unknown = Some(Value::Unknown);
        check(&[SYSTEM_CALL], unknown);
        // movz x8, #64, lsl #16
        check(&[0xd2a0_0808, SYSTEM_CALL], unknown);
        // mov x8, x0
        check(&[mov_x8(64), 0xaa00_03e8, SYSTEM_CALL], unknown);
        // ldr x8, [sp]; ldp x7, x8, [sp]; ldr x0, [x8], #8
        for load in [0xf940_03e8, 0xa940_23e7, 0xf840_8500] {
            check(&[mov_x8(64), load, SYSTEM_CALL], unknown);
        }
        // bl 0; ret
        for flow in [0x9400_0000, 0xd65f_03c0] {
            check(&[mov_x8(64), flow, SYSTEM_CALL], unknown);
        }
    }

    #[test]
    fn number_is_unknown_if_a_jump_skips_the_constant() {
        let unknown = Some(Value::Unknown);
        // b +8; cbz x0, +8; b.eq +8; tbz w0, #3, +8
        for jump in [0x1400_0002, 0xb400_0040, 0x5400_0040, 0x3618_0040] {
            check(&[jump, mov_x8(64), SYSTEM_CALL], unknown);
        }
        // b +4; b +12
        check(
            &[0x1400_0001, mov_x8(64), SYSTEM_CALL],
            Some(Value::Constant(64)),
        );
        check(
            &[0x1400_0003, mov_x8(64), SYSTEM_CALL],
            Some(Value::Constant(64)),
        );
    }

    /// The C library of this program; on other machines, that of the cross compiler.
    fn libc() -> Option<std::path::PathBuf> {
        if cfg!(not(target_arch = "aarch64")) {
            let cross = std::path::Path::new("/usr/aarch64-linux-gnu/lib/libc.so.6");
            return cross.exists().then(|| cross.to_owned());
        }
        let list = crate::loader::list();
        let libc = list.iter().find(|module| module.name.contains("/libc.so"));
        libc.map(|module| module.path.clone())
    }

    #[test]
    fn nearly_all_system_calls_of_the_c_library_have_a_number() {
        let Some(path) = libc() else {
            return davy_test_support::skip(
                "ops/dev/need aarch64 installs the C library for aarch64",
            );
        };
        let bytes = std::fs::read(path).expect("readable");
        let file = object::File::parse(&*bytes).expect("an ELF file");
        let code = file.section_by_name(".text").expect("code");
        let code = code.data().expect("code");
        let calls = (0..code.len()).step_by(4);
        let calls: Vec<Value> = calls.filter_map(|at| system_call(code, at)).collect();
        let known = calls
            .iter()
            .filter(|call| matches!(call, Value::Constant(_)));
        let (known, all) = (known.count(), calls.len());
        println!("{known} of {all} system calls");
        assert!(all > 300 && known * 100 >= all * 95, "{known} of {all}");
    }

    #[test]
    fn other_code_is_not_a_system_call() {
        // svc #1; hvc #0; brk #0
        for other in [0xd400_0021, 0xd400_0002, 0xd420_0000] {
            check(&[mov_x8(64), other], None);
        }
        let code = SYSTEM_CALL.to_le_bytes();
        for at in [1, 2, 3, 4, 8, 400] {
            assert_eq!(system_call(&code, at), None, "{at}");
        }
        assert_eq!(system_call(&[], 0), None);
        assert_eq!(system_call(&code[..3], 0), None);
    }
}
