/* Uses CPU time at the bottom of a stack that is larger than the default copy. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile unsigned long kept;

static NOINLINE void burns(double seconds) {
    double end = (double)clock() / CLOCKS_PER_SEC + seconds;
    while ((double)clock() / CLOCKS_PER_SEC < end)
        for (int i = 0; i < 100000; i++) kept += i;
}

static NOINLINE void descends(int depth, double seconds) {
    char block[600];
    memset(block, depth, sizeof block);
    if (depth > 0) descends(depth - 1, seconds);
    else burns(seconds);
    kept += block[depth];
}

int main(int count, char **arguments) {
    descends(60, count > 1 ? atof(arguments[1]) : 0.5);
    return kept == 1;
}
