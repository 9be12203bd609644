/* Uses CPU time in the C library, below functions with known names. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOINLINE __attribute__((noinline, noclone))

static volatile unsigned long kept;
static char from[1 << 16], to[1 << 16];
static int numbers[1 << 14];

static NOINLINE int compare_numbers(const void *a, const void *b) {
    int x = *(const int *)a, y = *(const int *)b;
    for (int i = 0; i < 40; i++) kept += i;
    return (x > y) - (x < y);
}

static NOINLINE void sorts(void) {
    unsigned seed = 1;
    for (int i = 0; i < 1 << 14; i++) numbers[i] = (seed = seed * 1103515245 + 12345) >> 8;
    qsort(numbers, 1 << 14, sizeof numbers[0], compare_numbers);
    kept += numbers[0];
}

static NOINLINE void copies(void) {
    for (int i = 0; i < 1000; i++) {
        memcpy(to, from, sizeof to);
        kept += to[i];
    }
}

static NOINLINE void prints(void) {
    char text[256];
    for (int i = 0; i < 20000; i++) kept += snprintf(text, sizeof text, "%d %s %f %x", i, "text", i / 3.0, i);
}

static NOINLINE void allocates(void) {
    void *held[64] = {0};
    for (int i = 0; i < 200000; i++) {
        int slot = (i * 7919) % 64;
        free(held[slot]);
        held[slot] = malloc(1 + (i * 31) % 3000);
        kept += (unsigned long)held[slot];
    }
    for (int i = 0; i < 64; i++) free(held[i]);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static NOINLINE void turns(double seconds, void (*work)(void)) {
    double end = now() + seconds;
    while (now() < end) work();
}

static double seconds = 0.5;

static void *works(void *nothing) {
    turns(seconds, sorts);
    turns(seconds, copies);
    turns(seconds, prints);
    turns(seconds, allocates);
    return nothing;
}

/* Arguments: seconds of each kind of work, and the number of additional threads. */
int main(int count, char **arguments) {
    pthread_t threads[8];
    if (count > 1) seconds = atof(arguments[1]);
    int more = count > 2 ? atoi(arguments[2]) % 9 : 0;
    for (int i = 0; i < more; i++) pthread_create(&threads[i], 0, works, 0);
    works(0);
    for (int i = 0; i < more; i++) pthread_join(threads[i], 0);
    return kept == 1;
}
