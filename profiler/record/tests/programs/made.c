/* Generates code at run time, as JIT compilers do, and writes its name to a perf map. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

/* Counts its argument down to zero, with a stack frame. */
#if defined(__x86_64__)
static const unsigned char code[] = {
    0x55,             /* push rbp */
    0x48, 0x89, 0xe5, /* mov  rbp, rsp */
    0x48, 0xff, 0xcf, /* dec  rdi */
    0x75, 0xfb,       /* jnz  the line above */
    0x5d,             /* pop  rbp */
    0xc3,             /* ret */
};
#else
static const unsigned int code[] = {
    0xa9bf7bfd, /* stp  x29, x30, [sp, #-16]! */
    0x910003fd, /* mov  x29, sp */
    0xf1000400, /* subs x0, x0, #1 */
    0x54ffffe1, /* b.ne the line above */
    0xa8c17bfd, /* ldp  x29, x30, [sp], #16 */
    0xd65f03c0, /* ret */
};
#endif

static NOINLINE void calls(void (*made)(unsigned long), double seconds) {
    double end = (double)clock() / CLOCKS_PER_SEC + seconds;
    while ((double)clock() / CLOCKS_PER_SEC < end) made(1000000);
}

int main(int count, char **arguments) {
    char path[64];
    void *made = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(made, code, sizeof code);
    mprotect(made, 4096, PROT_READ | PROT_EXEC);
    __builtin___clear_cache(made, (char *)made + sizeof code);
    snprintf(path, sizeof path, "/tmp/perf-%d.map", getpid());
    FILE *map = fopen(path, "w");
    fprintf(map, "%lx %zx counts_down_made_at_run_time\n", (unsigned long)made, sizeof code);
    fclose(map);
    calls((void (*)(unsigned long))made, count > 1 ? atof(arguments[1]) : 0.5);
    return 0;
}
