// SPDX-License-Identifier: Apache-2.0
// The wall clock of the programs that are started with this library: the machine's, and as many milliseconds as the
// file $SKEW_FILE says (eight bytes, read at each look; tests write it while the programs run). Put in front of the C
// library with LD_PRELOAD. The boot-time clock stays what it is.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t* skew_ms;
static int (*real_clock_gettime)(clockid_t, struct timespec*);

__attribute__((constructor)) static void begin(void) {
    *(void**)&real_clock_gettime = dlsym(RTLD_NEXT, "clock_gettime");  // as dlsym(3) has it
    const char* path = getenv("SKEW_FILE");
    const int file = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void* mapped = mmap(NULL, sizeof *skew_ms, PROT_READ, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) skew_ms = (const volatile int64_t*)mapped;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec* now) {
    if (real_clock_gettime == NULL) begin();  // a look before our constructor ran
    const int failed = real_clock_gettime(clock, now);
    if (failed != 0 || clock != CLOCK_REALTIME || skew_ms == NULL) return failed;
    const int64_t ns = (int64_t)now->tv_nsec + (*skew_ms % 1000) * 1000000;
    now->tv_sec += (time_t)(*skew_ms / 1000 + (ns < 0 ? -1 : ns / 1000000000));
    now->tv_nsec = (long)(ns < 0 ? ns + 1000000000 : ns % 1000000000);
    return 0;
}

int gettimeofday(struct timeval* restrict now, void* restrict zone) {
    (void)zone;
    struct timespec precise;
    const int failed = clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return failed;
}

time_t time(time_t* now) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (now != NULL) *now = precise.tv_sec;
    return precise.tv_sec;
}
