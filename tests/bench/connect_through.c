// SPDX-License-Identifier: Apache-2.0
// For LD_PRELOAD: lets a load generator that knows no proxies (wrk) reach its server through one, as clients do that
// read HTTPS_PROXY: a connection goes to the proxy, CONNECT is asked (RFC 9110 9.3.6), and TLS begins behind the 200.
// Nothing waits: between two tries of SSL_connect() the generator serves its other connections.
// CONNECT_PROXY=http://USER:PASSWORD@HOST:PORT (HOST is this machine), CONNECT_TO=HOST:PORT.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { kDescriptorsMax = 4096, kTextMax = 2048 };
enum Step { Direct, Connecting, Asked, Through };

static struct {
    enum Step step;
    size_t seen;  // bytes of `\r\n\r\n` at the end of what was read
} state[kDescriptorsMax];
static char request[kTextMax];
static struct sockaddr_in proxy = {.sin_family = AF_INET};

static void fail(const char* what) {
    fprintf(stderr, "connect_through: %s\n", what);
    exit(1);
}

static void write_base64(char* out, const char* text, size_t size) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        unsigned bits = 0;
        for (size_t j = i; j < i + 3; j++) bits = bits << 8 | (j < size ? (unsigned char)text[j] : 0);
        for (size_t j = 0; j < 4; j++) *out++ = i + j > size ? '=' : letters[bits >> (18 - 6 * j) & 63];
    }
    *out = 0;
}

__attribute__((constructor)) static void read_environment(void) {
    const char* address = getenv("CONNECT_PROXY");
    const char* to = getenv("CONNECT_TO");
    if (address == NULL || to == NULL) return;
    const char* user = strstr(address, "://");
    user = user == NULL ? address : user + 3;
    const char* at = strrchr(user, '@');
    const char* port = strrchr(user, ':');
    if (port == NULL || strlen(user) + strlen(to) > kTextMax / 4) fail("CONNECT_PROXY is no address of a proxy");
    proxy.sin_port = htons((unsigned short)atoi(port + 1));
    proxy.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char field[kTextMax / 2] = "";
    if (at != NULL) {
        // What a client sends is what stands there with its escapes resolved.
        char plain[kTextMax / 4];
        size_t size = 0;
        for (const char* c = user; c < at; c++) {
            unsigned byte = 0;
            const int is_escape = *c == '%' && sscanf(c + 1, "%2x", &byte) == 1;
            plain[size++] = is_escape ? (char)byte : *c;
            if (is_escape) c += 2;
        }
        char encoded[kTextMax * 3 / 8];
        write_base64(encoded, plain, size);
        snprintf(field, sizeof field, "Proxy-Authorization: Basic %s\r\n", encoded);
    }
    snprintf(request, sizeof request, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", to, to, field);
}

// The C library's header has a parameter of its own kind there.
int connect_to_proxy(int descriptor, const struct sockaddr* address, socklen_t size) __asm__("connect");
int connect_to_proxy(int descriptor, const struct sockaddr* address, socklen_t size) {
    static int (*next)(int, const struct sockaddr*, socklen_t);
    if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "connect");
    if (request[0] == 0 || address->sa_family != AF_INET || descriptor >= kDescriptorsMax) {
        return next(descriptor, address, size);
    }
    state[descriptor].step = Connecting;
    state[descriptor].seen = 0;
    return next(descriptor, (const struct sockaddr*)&proxy, sizeof proxy);
}

// 1: through; 0: not yet; -1: the proxy refused, or is gone.
static int ask(int descriptor) {
    static const char end[] = "\r\n\r\n";
    if (state[descriptor].step == Connecting) {
        if (send(descriptor, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request)) return -1;
        state[descriptor].step = Asked;
    }
    static char answer[kDescriptorsMax][16];
    char byte = 0;
    // One by one: what follows the head is TLS.
    for (size_t at = 0; state[descriptor].seen < 4; at++) {
        const ssize_t got = recv(descriptor, &byte, 1, MSG_DONTWAIT);
        if (got < 0) return 0;
        if (got == 0) return -1;
        const size_t filled = strnlen(answer[descriptor], 15);
        if (filled < 15) answer[descriptor][filled] = byte;
        if (byte == end[state[descriptor].seen]) state[descriptor].seen++;
        else state[descriptor].seen = byte == '\r' ? 1 : 0;
    }
    const int is_200 = memcmp(answer[descriptor], "HTTP/1.1 200", 12) == 0;
    memset(answer[descriptor], 0, sizeof answer[descriptor]);
    state[descriptor].step = Through;
    return is_200 ? 1 : -1;
}

static int is_on_its_way(const SSL* ssl) {
    const int descriptor = SSL_get_fd(ssl);
    return descriptor >= 0 && descriptor < kDescriptorsMax &&
           (state[descriptor].step == Connecting || state[descriptor].step == Asked);
}

int SSL_connect(SSL* ssl) {
    static int (*next)(SSL*);
    if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "SSL_connect");
    if (is_on_its_way(ssl)) {
        const int answer = ask(SSL_get_fd(ssl));
        if (answer < 0) fail("the proxy refused");
        if (answer == 0) return -1;
    }
    return next(ssl);
}

int SSL_get_error(const SSL* ssl, int result) {
    static int (*next)(const SSL*, int);
    if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "SSL_get_error");
    return is_on_its_way(ssl) ? SSL_ERROR_WANT_READ : next(ssl, result);
}
