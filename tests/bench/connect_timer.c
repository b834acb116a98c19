// SPDX-License-Identifier: Apache-2.0
// Connects N times to HOST PORT and closes at once; prints the time of each connect(2) in microseconds. With `-` as
// host it serves as its own counterpart first: a child accepts on loopback, for the native figure.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now_us(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static struct sockaddr_in serve_on_loopback(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr*)&address, size) != 0 || listen(listener, 4096) != 0) exit(1);
    if (getsockname(listener, (struct sockaddr*)&address, &size) != 0) exit(1);
    if (fork() == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) close(accept(listener, NULL, NULL));
    }
    close(listener);
    return address;
}

static struct sockaddr_in look_up(const char* host, const char* port) {
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo* found = NULL;
    if (getaddrinfo(host, port, &hints, &found) != 0) exit(1);
    struct sockaddr_in address;
    memcpy(&address, found->ai_addr, sizeof address);
    freeaddrinfo(found);
    return address;
}

int main(int argc, char** argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: connect_timer N HOST PORT   (HOST - for a listener of its own)\n");
        return 2;
    }
    const struct sockaddr_in address = strcmp(argv[2], "-") == 0 ? serve_on_loopback() : look_up(argv[2], argv[3]);
    for (int left = atoi(argv[1]); left > 0; left--) {
        const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
        const double begin = now_us();
        if (connect(descriptor, (const struct sockaddr*)&address, sizeof address) != 0) {
            perror("connect");
            return 1;
        }
        const double took = now_us() - begin;
        close(descriptor);
        printf("%.2f\n", took);
    }
    return 0;
}
