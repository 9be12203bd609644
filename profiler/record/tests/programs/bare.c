/* A program without a C library, whose first function has no unwind table and is placed after functions
   that have one. */

#if defined(__x86_64__)
__asm__(".pushsection .text.last, \"ax\"\n.globl _start\n.type _start, @function\n_start: call begins\n.size _start, . - _start\n.popsection\n");
#else
__asm__(".pushsection .text.last, \"ax\"\n.globl _start\n.type _start, %function\n_start: bl begins\n.size _start, . - _start\n.popsection\n");
#endif

static volatile unsigned long kept;

__attribute__((noinline)) static void burns(void) {
    for (unsigned long i = 0; i < 200000000; i++) kept += i;
}

__attribute__((used)) void begins(void) {
    burns();
    kept++;
#if defined(__x86_64__)
    __asm__ volatile("syscall" : : "a"(231), "D"(0));
#else
    register long call __asm__("x8") = 94, code __asm__("x0") = 0;
    __asm__ volatile("svc 0" : : "r"(call), "r"(code));
#endif
    __builtin_unreachable();
}
