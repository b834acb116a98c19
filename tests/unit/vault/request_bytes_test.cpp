// SPDX-License-Identifier: Apache-2.0
// What a request looks like on its way out, and what cannot become one.
#include "vault/http/request_bytes.hpp"

#include "base/build_id.hpp"

#include <gtest/gtest.h>

namespace sanctum::vault {
namespace {

HttpRequest get(const std::string& url) {
    HttpRequest request;
    request.method = "GET";
    request.url = url;
    return request;
}

TEST(RequestBytes, AUrlIsTakenApart) {
    struct Row {
        const char* url;
        const char* authority;
        const char* target;
    };
    const Row rows[] = {
        {"https://auth.example.com", "auth.example.com", "/"},
        {"https://auth.example.com/", "auth.example.com", "/"},
        {"https://auth.example.com:443/a", "auth.example.com", "/a"},
        {"https://auth.example.com:8443/oauth/token?a=b&c=%20", "auth.example.com:8443", "/oauth/token?a=b&c=%20"},
        {"https://auth.example.com?a", "auth.example.com", "/?a"},
    };
    for (const Row& row : rows) {
        SCOPED_TRACE(row.url);
        const Result<RequestPlace> place = place_of(row.url);
        ASSERT_TRUE(place.has_value()) << place.error().what;
        EXPECT_EQ(place->authority(), row.authority);
        EXPECT_EQ(place->target, row.target);
    }
}

TEST(RequestBytes, WhatIsNoHttpsUrlOfANameIsRefused) {
    for (const char* url : {"", "http://auth.example.com/", "HTTPS://auth.example.com/", "auth.example.com",
                            "https:///path", "https://Auth.example.com/", "https://user@auth.example.com/",
                            "https://127.0.0.1/", "https://[::1]/", "https://auth.example.com:0/",
                            "https://auth.example.com:/", "https://auth.example.com:65536/",
                            "https://auth.example.com:4 3/", "https://auth.example.com/a b",
                            "https://auth.example.com/a\r\nB: c", "https://auth.example.com/#fragment",
                            "https://auth.example.com/\xc3\xa9"}) {
        SCOPED_TRACE(url);
        const Result<RequestPlace> place = place_of(url);
        ASSERT_FALSE(place.has_value());
        EXPECT_EQ(place.error().code, Errc::InvalidProfile);
    }
}

TEST(RequestBytes, ARequestIsWrittenWithItsLengthAndCredential) {
    HttpRequest request;
    request.method = "POST";
    request.url = "https://auth.example.com:8443/oauth/token";
    request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
    request.authorization = Secret("Basic c2VjcmV0");
    request.body = Secret("grant_type=client_credentials");

    const Result<WipedBytes> bytes = request_bytes(request, *place_of(request.url));

    ASSERT_TRUE(bytes.has_value());
    EXPECT_EQ(bytes->reveal(), std::string("POST /oauth/token HTTP/1.1\r\nHost: auth.example.com:8443\r\nUser-Agent: "
                                           "sanctum/") + version() +
                                   "\r\nAccept-Encoding: identity\r\nConnection: close\r\n"
                                   "Content-Type: application/x-www-form-urlencoded\r\n"
                                   "Authorization: Basic c2VjcmV0\r\nContent-Length: 29\r\n\r\n"
                                   "grant_type=client_credentials");
}

TEST(RequestBytes, OnlyARequestThatMayHaveABodySaysItsLength) {
    HttpRequest request = get("https://auth.example.com/");
    EXPECT_EQ(request_bytes(request, *place_of(request.url))->reveal().find("Content-Length"), std::string_view::npos);
    request.method = "POST";
    EXPECT_NE(request_bytes(request, *place_of(request.url))->reveal().find("Content-Length: 0\r\n"),
              std::string_view::npos);
}

// A credential comes from outside: one with a line break would add fields of somebody else's choice.
TEST(RequestBytes, NothingCanAddALineAndNoErrorSaysWhatItWas) {
    const auto problem_of = [](const HttpRequest& request) {
        const Result<WipedBytes> bytes = request_bytes(request, *place_of("https://auth.example.com/"));
        return bytes ? Error{Errc::Internal, "it was written"} : bytes.error();
    };
    std::vector<HttpRequest> requests;
    requests.push_back(get(""));
    requests.back().authorization = Secret("Bearer top-secret\r\nX: y");
    requests.push_back(get(""));
    requests.back().headers = {{"Accept", "top-secret\r\nX: y"}};
    requests.push_back(get(""));
    requests.back().headers = {{"Ac cept", "top-secret"}};
    requests.push_back(get(""));
    requests.back().method = "GET top-secret";
    for (const char* name : {"Host", "content-length", "Transfer-Encoding", "Connection", "Authorization"}) {
        requests.push_back(get(""));
        requests.back().headers = {{name, "top-secret"}};
    }
    for (const HttpRequest& request : requests) {
        const Error problem = problem_of(request);
        EXPECT_EQ(problem.code, Errc::InvalidProfile);
        EXPECT_EQ(problem.what.find("top-secret"), std::string::npos) << problem.what;
    }
}

}  // namespace
}  // namespace sanctum::vault
