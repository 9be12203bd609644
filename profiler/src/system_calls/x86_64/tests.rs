use super::*;

/// Bytes in hexadecimal, with comments after `;`.
fn code(text: &str) -> Vec<u8> {
    let lines = text.lines().filter_map(|line| line.split(';').next());
    let bytes = lines.flat_map(str::split_whitespace);
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).expect("hexadecimal"))
        .collect()
}

/// Checks the last system call of a function.
#[track_caller]
fn check(text: &str, expected: Option<Value>) {
    let code = code(text);
    let is_call = |at: &usize| code[*at..].starts_with(&[0x0f, 0x05]);
    let at = (0..code.len()).rev().find(is_call).expect("a system call");
    assert_eq!(system_call(&code, at), expected);
}

const NUMBER: Option<Value> = Some(Value::Constant(0x2c));
const UNKNOWN: Option<Value> = Some(Value::Unknown);

#[test]
fn number_is_the_constant_in_eax() {
    check("b8 2c 00 00 00  0f 05  c3", NUMBER);
    check("48 c7 c0 2c 00 00 00  0f 05", NUMBER);
    check("48 b8 2c 00 00 00 00 00 00 00  0f 05", NUMBER);
    for zero in ["31 c0", "29 c0", "48 31 c0"] {
        check(&format!("{zero} 0f 05"), Some(Value::Constant(0)));
    }
}

#[test]
fn instructions_between_the_constant_and_the_call_are_followed() {
    // The threaded part of glibc's `sendto`.
    check(
        "44 8b 4c 24 2c          ; mov 0x2c(%rsp),%r9d
         89 c5                   ; mov %eax,%ebp
         44 8b 54 24 28          ; mov 0x28(%rsp),%r10d
         b8 2c 00 00 00          ; mov $0x2c,%eax
         48 8b 74 24 10          ; mov 0x10(%rsp),%rsi
         40 80 f6 80             ; xor $0x80,%sil
         c7 44 24 3c 02 00 00 00 ; movl $0x2,0x3c(%rsp)
         0f 05",
        NUMBER,
    );
    check("41 b9 2c 00 00 00 44 89 c8 0f 05", NUMBER);
    // mov $0x2c,%ebx or %r9d; call; mov to %eax
    check("bb 2c 00 00 00 ff 15 00 00 00 00 89 d8 0f 05", NUMBER);
    check(
        "41 b9 2c 00 00 00 ff 15 00 00 00 00 44 89 c8 0f 05",
        UNKNOWN,
    );
}

#[test]
fn bytes_of_other_instructions_are_not_taken_for_constants() {
    // mov $0x2c,%r8d; mov 0x2c(%rax),%edi; mov $0x2c,%al
    for other in ["41 b8 2c 00 00 00", "8b b8 2c 00 00 00", "b0 2c"] {
        check(&format!("{other} 0f 05"), UNKNOWN);
    }
    check("48 b8 2c 00 00 00 01 00 00 00  0f 05", UNKNOWN);
}

#[test]
fn system_call_bytes_inside_another_instruction_are_ignored() {
    // mov $0x050f0000,%eax; call by an offset with these bytes
    check("b8 00 00 0f 05 c3", None);
    check("e8 00 0f 05 00 c3", None);
}

#[test]
fn number_is_unknown_if_it_may_be_overwritten() {
    let overwritten = [
        "89 f8",          // mov %edi,%eax would be an argument, so not this one
        "0f b6 c1",       // movzbl %cl,%eax
        "ff d3",          // call *%rbx
        "e8 00 00 00 00", // call
        "0f a2",          // cpuid
        "f3 a4",          // rep movsb
        "0f 45 c1",       // cmovne %ecx,%eax
        "0f 94 c0",       // sete %al
        "b4 01",          // mov $1,%ah
        "04 01",          // add $1,%al
        "f7 f1",          // div %ecx
        "87 03",          // xchg %eax,(%rbx)
        "f0 0f b1 0b",    // lock cmpxchg %ecx,(%rbx)
        "58",             // pop %rax
        "0f 05",          // syscall
        "c5 f9 7e c0",    // vmovd %xmm0,%eax
        "66 0f 7e c0",    // movd %xmm0,%eax
    ];
    for instruction in overwritten.into_iter().skip(1) {
        check(&format!("b8 2c 00 00 00 {instruction} 0f 05"), UNKNOWN);
    }
    check("b8 2c 00 00 00 89 f8 0f 05", Some(Value::Argument(0)));
}

#[test]
fn instructions_that_only_read_eax_keep_the_number() {
    let kept = [
        "39 c8",             // cmp %ecx,%eax
        "83 f8 01",          // cmp $1,%eax
        "a8 01",             // test $1,%al
        "f7 c0 01 00 00 00", // test $1,%eax
        "50",                // push %rax
        "89 03",             // mov %eax,(%rbx)
        "66 0f 6e c0",       // movd %eax,%xmm0
        "0f 1f 44 00 00",    // nop
        "f3 90",             // pause
        "41 58",             // pop %r8
        "41 b8 01 00 00 00", // mov $1,%r8d
    ];
    for instruction in kept {
        check(&format!("b8 2c 00 00 00 {instruction} 0f 05"), NUMBER);
    }
}

#[test]
fn number_is_known_only_if_every_path_has_the_same() {
    // test %edi,%edi; je over `mov`; mov $number,%eax
    let either = |first: &str, second: &str| {
        format!("b8 {first} 00 00 00  85 ff  74 05  b8 {second} 00 00 00  0f 05")
    };
    check(&either("2c", "2c"), NUMBER);
    check(&either("2c", "2d"), UNKNOWN);
    // A loop that keeps the number, and one that counts in it.
    check("41 b9 2c 00 00 00  44 89 c8 0f 05  75 f9  c3", NUMBER);
    check(
        "41 b9 2c 00 00 00  44 89 c8 0f 05  41 ff c1  75 f6  c3",
        UNKNOWN,
    );
    // Bytes before the loop that align it.
    check("b9 2c 00 00 00  eb 01 90  89 c8 0f 05  75 fa  c3", UNKNOWN);
    check("bb 2c 00 00 00  eb 01 90  89 d8 0f 05  75 fa  c3", NUMBER);
    // Code that only a later jump reaches.
    check("b8 2c 00 00 00 eb 03  0f 05 c3  eb fb", NUMBER);
}

#[test]
fn system_call_in_unreachable_code_has_no_number() {
    // After `ret`, and after an indirect jump.
    check("b8 2c 00 00 00 c3  0f 05", UNKNOWN);
    check("b8 2c 00 00 00 ff e0  0f 05", UNKNOWN);
    // With an indirect jump anywhere, only adjacent instructions count.
    check("b8 2c 00 00 00 0f 05 ff e1", NUMBER);
    check("b8 2c 00 00 00 90 0f 05 ff e1", UNKNOWN);
    check("74 05 b8 2c 00 00 00 0f 05 ff e1", UNKNOWN);
}

#[test]
fn argument_of_the_function_is_the_number() {
    // glibc's `syscall`, and musl's `__syscall_cp_asm`.
    check(
        "48 89 f8 48 89 f7 48 89 d6 48 89 ca 4d 89 c2 4d 89 c8 4c 8b 4c 24 08 0f 05",
        Some(Value::Argument(0)),
    );
    check(
        "48 89 f0 48 89 d7 48 89 ce 4c 89 c2 4d 89 ca 4c 8b 44 24 08 0f 05",
        Some(Value::Argument(1)),
    );
}

#[test]
fn truncated_code_has_no_system_call() {
    let whole = code("b8 2c 00 00 00 0f 05");
    assert_eq!(system_call(&whole, 5), NUMBER);
    for length in 0..whole.len() {
        assert_eq!(system_call(&whole[..length], 5), None, "{length}");
    }
    for at in [0, 1, 4, 6, 7, 100] {
        assert_eq!(system_call(&whole, at), None, "{at}");
    }
    // At the start of its code.
    assert_eq!(system_call(&code("0f 05"), 0), UNKNOWN);
    // An unknown instruction anywhere ends the analysis.
    assert_eq!(system_call(&code("b8 2c 00 00 00 0f 05 06"), 5), None);
}

#[test]
fn call_has_its_target_and_its_arguments() {
    let check = |text: &str, target, argument| {
        let code = code(text);
        let found = call(&code, 0x1000, code.len()).expect("a call");
        assert_eq!((found.target, found.arguments[0]), (target, argument));
    };
    let number = Value::Constant(0x2c);
    check(
        "bf 2c 00 00 00 e8 10 00 00 00",
        CallTarget::Direct(0x101a),
        number,
    );
    check(
        "bf 2c 00 00 00 ff 15 10 00 00 00",
        CallTarget::Slot(0x101b),
        number,
    );
    // mov 0x10(%rip),%rbx; mov $0x2c,%edi; call *%rbx
    let by_register = "48 8b 1d 10 00 00 00 bf 2c 00 00 00 ff d3";
    check(by_register, CallTarget::Slot(0x1017), number);
    check("ff d3", CallTarget::Unknown, Value::Argument(0));
    check("31 ff ff 53 08", CallTarget::Unknown, Value::Constant(0));
    assert_eq!(call(&code("bf 2c 00 00 00 0f 05"), 0, 7), None);
    assert_eq!(call(&code("e8 10 00 00 00"), 0, 4), None);
}

#[test]
fn got_slot_of_a_plt_stub_is_decoded() {
    let slot = |text| stub_slot(&code(text), 0x1000);
    assert_eq!(slot("ff 25 10 00 00 00 90"), Some(0x1016));
    assert_eq!(slot("f3 0f 1e fa f2 ff 25 10 00 00 00"), Some(0x101b));
    assert_eq!(slot("f3 0f 1e fa 90 ff 25 10 00 00 00"), None);
    assert_eq!(slot("e9 10 00 00 00"), None);
    assert_eq!(slot("ff 25 10 00"), None);
    assert_eq!(slot(""), None);
}

#[test]
fn tail_calls_are_the_jumps_to_other_functions() {
    let jumps = |text: &str| jumps_out(&code(text), 0x1000);
    // mov $0x2c,%edi; jmp by a word; and a loop before it.
    let found = jumps("39 c8 75 fc bf 2c 00 00 00 ff 25 10 00 00 00").expect("known");
    let expected = (CallTarget::Slot(0x101f), Value::Constant(0x2c));
    let found: Vec<_> = found
        .iter()
        .map(|jump| (jump.target, jump.arguments[0]))
        .collect();
    assert_eq!(found, [expected]);
    let found = jumps("75 10 e9 00 01 00 00").expect("known");
    let targets: Vec<_> = found.iter().map(|jump| jump.target).collect();
    assert_eq!(
        targets,
        [CallTarget::Direct(0x1012), CallTarget::Direct(0x1107)]
    );
    assert_eq!(jumps("c3"), Some(Vec::new()));
    assert_eq!(jumps("ff e0"), None);
    assert_eq!(jumps(&"75 20 ".repeat(9)), None);
}
