// SPDX-License-Identifier: Apache-2.0
// A statically linked HTTPS client with its own TLS: GETs one page and prints the body. It verifies the server against
// the default roots only, like any program that has no idea where it runs.
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int dial(const char* host) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo* found = NULL;
    if (getaddrinfo(host, "443", &hints, &found) != 0) return -1;
    int descriptor = -1;
    for (const struct addrinfo* at = found; at != NULL && descriptor < 0; at = at->ai_next) {
        descriptor = socket(at->ai_family, at->ai_socktype, at->ai_protocol);
        if (descriptor >= 0 && connect(descriptor, at->ai_addr, at->ai_addrlen) != 0) {
            close(descriptor);
            descriptor = -1;
        }
    }
    freeaddrinfo(found);
    return descriptor;
}

int main(int argc, char** argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: static_client HOST PATH\n");
        return 2;
    }
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_verify_paths(context);
    const int descriptor = dial(argv[1]);
    if (descriptor < 0) {
        perror("connect");
        return 1;
    }
    SSL* tls = SSL_new(context);
    SSL_set_fd(tls, descriptor);
    SSL_set_tlsext_host_name(tls, argv[1]);
    SSL_set1_host(tls, argv[1]);
    if (SSL_connect(tls) != 1) {
        fprintf(stderr, "TLS failed, verify result %ld\n", SSL_get_verify_result(tls));
        return 1;
    }
    char text[4096];
    const int length = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[2],
                                argv[1]);
    if (length < 0 || SSL_write(tls, text, length) != length) return 1;
    for (int got = SSL_read(tls, text, sizeof text); got > 0; got = SSL_read(tls, text, sizeof text))
        fwrite(text, 1, (size_t)got, stdout);
    return 0;
}
