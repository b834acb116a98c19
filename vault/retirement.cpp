// SPDX-License-Identifier: Apache-2.0
#include "vault/retirement.hpp"

#include "base/files.hpp"
#include "vault/locked_bytes.hpp"
#include "vault/store.hpp"

#include <cerrno>
#include <sodium.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

// A retirement as bytes; wiped by whoever holds it.
struct Written {
    std::string provider;
    std::string method;
    std::string url;
    std::vector<std::string> names;
    std::vector<std::string> values;
    std::string authorization;
    std::string body;
    bool unknown_is_gone = false;
    std::vector<std::int32_t> gone_statuses;
    std::vector<std::string> gone_words;
    std::string when_denied;
    std::string next;  // another one in the same form; empty: none
    std::string account;
    std::string handle;
    std::string leaves;
    template <class Self, class Archive>
    static void fields(Self& self, Archive& archive) {
        archive("provider", self.provider);
        archive("method", self.method);
        archive("url", self.url);
        archive("names", self.names);
        archive("values", self.values);
        archive("authorization", self.authorization);
        archive("body", self.body);
        archive("unknown_is_gone", self.unknown_is_gone);
        archive("gone_statuses", self.gone_statuses);
        archive("gone_words", self.gone_words);
        archive("when_denied", self.when_denied);
        archive("next", self.next);
        archive("account", self.account);
        archive("handle", self.handle);
        archive("leaves", self.leaves);
    }
    Written() = default;
    Written(const Written&) = delete;
    Written& operator=(const Written&) = delete;
    Written(Written&&) = default;
    Written& operator=(Written&&) = default;
    ~Written() {
        wipe(authorization);
        wipe(body);
        wipe(next);
    }
};

// The caller wipes it.
std::string to_bytes(const Retirement& retirement) {
    Written written;
    written.provider = retirement.provider;
    written.method = retirement.request.method;
    written.url = retirement.request.url;
    for (const auto& [name, value] : retirement.request.headers) {
        written.names.push_back(name);
        written.values.push_back(value);
    }
    written.authorization = std::string(retirement.request.authorization.reveal());
    written.body = std::string(retirement.request.body.reveal());
    written.unknown_is_gone = retirement.unknown_is_gone;
    for (const UnknownAnswer& answer : retirement.also_gone) {
        written.gone_statuses.push_back(answer.status);
        written.gone_words.push_back(answer.words);
    }
    written.when_denied = retirement.when_denied;
    written.account = retirement.account;
    written.handle = retirement.handle;
    written.leaves = retirement.leaves;
    if (retirement.next) written.next = to_bytes(*retirement.next);
    return wire::to_binary(written);
}

Result<Retirement> from_bytes(std::string_view bytes) {
    Result<Written> written = wire::from_binary<Written>(bytes);
    if (!written || written->names.size() != written->values.size() ||
        written->gone_statuses.size() != written->gone_words.size()) {
        return Error{Errc::Protocol, "a sealed retirement is damaged"};
    }
    Retirement retirement;
    retirement.provider = written->provider;
    retirement.request.method = written->method;
    retirement.request.url = written->url;
    for (std::size_t i = 0; i < written->names.size(); ++i) {
        retirement.request.headers.emplace_back(written->names[i], written->values[i]);
    }
    retirement.request.authorization = Secret(written->authorization);
    retirement.request.body = Secret(written->body);
    retirement.request.repeat = Repeat::Safe;
    retirement.unknown_is_gone = written->unknown_is_gone;
    for (std::size_t i = 0; i < written->gone_statuses.size(); ++i) {
        retirement.also_gone.push_back({written->gone_statuses[i], written->gone_words[i]});
    }
    retirement.when_denied = written->when_denied;
    retirement.account = written->account;
    retirement.handle = written->handle;
    retirement.leaves = written->leaves;
    if (written->next.empty()) return retirement;
    SANCTUM_TRY(Retirement next, from_bytes(written->next));  // each is shorter than the one that holds it
    retirement.next = std::make_unique<Retirement>(std::move(next));
    return retirement;
}

// The name appears with the whole key behind it; of two that make one at once, the first one's stays.
Status make_key_at(const std::string& path) {
    const std::string temporary = path + ".new-" + wire::to_hex(random_bytes(6));
    SANCTUM_TRY(const LockedBytes made, create_key_file(temporary));
    const bool is_linked = ::link(temporary.c_str(), path.c_str()) == 0 || errno == EEXIST;
    const Error failed = io_error("make " + path);
    ::unlink(temporary.c_str());
    return is_linked ? Status() : Status(failed);
}

}  // namespace

RetireOutcome outcome_of(const std::string& provider, bool unknown_is_gone, const Result<HttpResponse>& response) {
    using End = RetireOutcome::End;
    if (!response) return {End::NotYet, provider + ": " + response.error().what};
    const int status = response->status;
    const bool is_gone = status == 200 || status == 202 || status == 204 || status == 404;
    const bool is_unknown = unknown_is_gone && status == 401;
    if (is_gone || is_unknown) return {End::Gone, "revoked at " + provider};
    return {End::NotYet, provider + " answered its revocation with status " + std::to_string(status)};
}

RetireOutcome outcome_of(const Retirement& retirement, const Result<HttpResponse>& response) {
    for (const UnknownAnswer& unknown : retirement.also_gone) {
        if (!response || response->status != unknown.status) continue;
        if (response->body.reveal().find(unknown.words) == std::string_view::npos) continue;
        return {RetireOutcome::End::Gone, "revoked at " + retirement.provider};
    }
    RetireOutcome outcome = outcome_of(retirement.provider, retirement.unknown_is_gone, response);
    if (response && response->status == 403 && !retirement.when_denied.empty()) {
        outcome.detail += ": " + retirement.when_denied;
    }
    if (outcome.end == RetireOutcome::End::Gone && !retirement.leaves.empty()) {
        return {RetireOutcome::End::LeftToExpire, retirement.leaves};
    }
    return outcome;
}

void send_retirement(HttpClient& http, Retirement retirement, Completion<RetireOutcome> done) {
    const auto sent = std::make_shared<Retirement>(std::move(retirement));
    http.send(std::move(sent->request), [&http, sent, done = std::move(done)](const Result<HttpResponse>& response) {
        RetireOutcome outcome = outcome_of(*sent, response);
        if (outcome.end != RetireOutcome::End::Gone || !sent->next) return done(std::move(outcome));
        send_retirement(http, std::move(*sent->next), done);
    });
}

std::string ReaperSeal::seal(const Retirement& retirement) const {
    std::string plain = to_bytes(retirement);
    std::string sealed(plain.size() + crypto_box_SEALBYTES, '\0');
    const int failed = ::crypto_box_seal(reinterpret_cast<unsigned char*>(sealed.data()), bytes_of(plain), plain.size(),
                                         bytes_of(public_key_));
    wipe(plain);
    SANCTUM_ASSERT(failed == 0);
    return wire::to_hex(sealed);
}

Result<ReaperKey> ReaperKey::open(const std::string& state_folder) {
    static_assert(crypto_box_SECRETKEYBYTES == 32);  // as of any other key file
    start_sodium();
    const std::string path = state_folder + "/reaper.key";
    if (::access(path.c_str(), F_OK) != 0) {
        SANCTUM_CHECK(make_key_at(path));
    }
    SANCTUM_TRY(const LockedBytes secret, load_key_file(path));
    ReaperKey key;
    key.secret_key_ = Secret(secret.reveal());
    key.seal_.public_key_.resize(crypto_box_PUBLICKEYBYTES);
    ::crypto_scalarmult_base(reinterpret_cast<unsigned char*>(key.seal_.public_key_.data()),
                             bytes_of(secret.reveal()));
    return key;
}

Result<Retirement> ReaperKey::unseal(const std::string& sealed) const {
    const std::optional<std::string> bytes = wire::from_hex(sealed);
    if (!bytes || bytes->size() < crypto_box_SEALBYTES) return Error{Errc::Protocol, "a sealed retirement is damaged"};
    std::string plain(bytes->size() - crypto_box_SEALBYTES, '\0');
    const int failed = ::crypto_box_seal_open(reinterpret_cast<unsigned char*>(plain.data()), bytes_of(*bytes),
                                              bytes->size(), bytes_of(seal_.public_key_),
                                              bytes_of(secret_key_.reveal()));
    if (failed != 0) return Error{Errc::Protocol, "a retirement was sealed to another key than reaper.key"};
    Result<Retirement> retirement = from_bytes(plain);
    wipe(plain);
    return retirement;
}

}  // namespace sanctum::vault
