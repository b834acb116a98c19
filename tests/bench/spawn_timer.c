// SPDX-License-Identifier: Apache-2.0
// Runs a command N times, one after another, and prints the wall time of each from spawn to end, in microseconds.
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

extern char** environ;

static double now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

int main(int argc, char** argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: spawn_timer N COMMAND [ARGUMENT]...\n");
        return 2;
    }
    for (int left = atoi(argv[1]); left > 0; left--) {
        const double begin = now_us();
        pid_t child = 0;
        int status = 0;
        if (posix_spawnp(&child, argv[2], NULL, NULL, argv + 2, environ) != 0) return 1;
        if (waitpid(child, &status, 0) != child || status != 0) {
            fprintf(stderr, "spawn_timer: %s ended with status %d\n", argv[2], status);
            return 1;
        }
        printf("%.1f\n", now_us() - begin);
    }
    return 0;
}
