// SPDX-License-Identifier: Apache-2.0
// An HttpClient that keeps what it was asked and answers what the test says.
#pragma once

#include "vault/http/http_client.hpp"

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace sanctum::vault::test {

/// A request as a provider would see it; the form's parameters decoded.
struct SeenRequest {
    std::string method;
    std::string url;
    std::string authorization;
    std::string body;
    Repeat repeat = Repeat::Never;
    std::map<std::string, std::string> headers{};
    std::string certificate{};  ///< PEM that the connection would show; empty: none
    [[nodiscard]] std::string parameter(const std::string& name) const;
};

class ProviderScript final : public HttpClient {
public:
    void send(HttpRequest request, Completion<Result<HttpResponse>> done) override;
    /// The next answer; each send() takes one.
    void will_answer(int status, std::string body, std::map<std::string, std::string> headers = {},
                     Milliseconds clock_offset = Milliseconds(0));
    void will_fail(Error error) { answers_.emplace_back(std::move(error)); }
    void forget_answers() { answers_.clear(); }

    std::vector<SeenRequest> seen;

private:
    std::deque<Result<HttpResponse>> answers_;
};

/// An HttpClient whose answers come when the test says, the oldest question's first.
class HeldAnswers final : public HttpClient {
public:
    void send(HttpRequest /*request*/, Completion<Result<HttpResponse>> done) override {
        asked_.push_back(std::move(done));
    }
    [[nodiscard]] std::size_t waiting() const { return asked_.size(); }
    void answer(int status, std::string body);

private:
    std::deque<Completion<Result<HttpResponse>>> asked_;
};

/// The claims of a compact JWT, as JSON text; and its header.
[[nodiscard]] std::string claims_of(const std::string& jwt);
[[nodiscard]] std::string header_of(const std::string& jwt);
/// True when `jwt` was signed by the private key `pem` (RS256 or ES256 by its kind), checked by OpenSSL.
[[nodiscard]] bool is_signed_by(const std::string& jwt, const std::string& pem);
/// A fresh private key in PEM.
[[nodiscard]] std::string make_rsa_key(int bits = 2048);
[[nodiscard]] std::string make_ec_key(const char* curve = "P-256");

}  // namespace sanctum::vault::test
