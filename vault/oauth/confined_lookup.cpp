// SPDX-License-Identifier: Apache-2.0
#include "vault/oauth/confined_lookup.hpp"

#include "base/confinement/self_confinement.hpp"
#include "base/limits.hpp"
#include "base/unique_fd.hpp"
#include "base/wire/archive.hpp"
#include "profiles/schema/values.hpp"
#include "vault/http/json_answer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <functional>
#include <optional>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <variant>

namespace sanctum::vault {
namespace {

constexpr const char* kProcessName = "sanctum-lookup";

constexpr AllowedCall kCallsOfALookup[] = {
    {SYS_ppoll, "the loop"},
    {SYS_recvmsg, "the dialler's answer"},
    {SYS_sendmsg, "the question to the dialler"},
    {SYS_openat, "root certificates"},
    {SYS_pread64, "root certificates"},
#ifdef __x86_64__
    {SYS_poll, "the same calls as glibc and OpenSSL write them here"},
    {SYS_open, "as openat"},
    {SYS_stat, "as newfstatat"},
#endif
};

Status confine_lookup(const std::vector<std::string>& readable) {
    SelfConfinement confinement;
    confinement.calls.assign(std::begin(kCallsOfALookup), std::end(kCallsOfALookup));
    for (const std::string& path : readable) confinement.paths.push_back({path, AllowedPath::Access::Read});
    return confine_self(confinement);
}

// Not there, or the page that some servers show for whatever is not there.
bool is_there(const HttpResponse& response) { return response.status == 200 && JsonAnswer::parse(response); }

Result<LookupAnswer> read_answer(const HttpResponse& response, const Lookup& lookup) {
    LookupAnswer answer;
    if (lookup.what == Lookup::For::Challenge) {
        answer.named = challenged_metadata_url(response);
        answer.is_there = !answer.named.empty();
        return answer;
    }
    if (!is_there(response)) return answer;
    answer.is_there = true;
    if (lookup.what == Lookup::For::Issuer) {
        SANCTUM_TRY(answer.server, read_server_metadata(response, lookup.about));
    } else {
        SANCTUM_TRY(answer.resource, read_resource_metadata(response, lookup.about));
    }
    return answer;
}

Result<LookupAnswer> ask(const Clock& clock, std::optional<BootTime> deadline, const profiles::UpstreamConfig& upstream,
                         const Lookup& lookup) {
    ProviderTalk talk(clock);
    if (deadline) talk.give_up_at(*deadline);
    SANCTUM_CHECK(talk.reach({provider_host(lookup.url)}, upstream));
    SANCTUM_CHECK(confine_lookup(talk.readable()));
    // From here on this process has its dialler, which knows this one host, the pipe, and nothing else.
    HttpRequest request;
    request.method = "GET";
    request.url = lookup.url;
    request.headers = {{"accept", "application/json"}};
    request.repeat = Repeat::Safe;
    SANCTUM_TRY(const HttpResponse response, ask_provider(talk, std::move(request)));
    return read_answer(response, lookup);
}

// 0-2 may be the operator's terminal, which takes and shows whatever is written there.
bool leave_terminal() {
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    return nothing >= 0 && ::dup2(nothing, 0) == 0 && ::dup2(nothing, 1) == 1 && ::dup2(nothing, 2) == 2;
}

// In the child. What the parent has and the question does not need is gone before anything is read from outside.
[[noreturn]] void answer_into(int theirs, pid_t parent, const std::function<Result<LookupAnswer>()>& ask) {
    const int pipe = ::fcntl(theirs, F_DUPFD_CLOEXEC, 3);  // behind 0-2, which are replaced
    if (pipe < 0 || !leave_terminal()) ::_exit(1);
    forget_environment();
    const auto close_from = [](unsigned first, unsigned last) {
        return first > last || ::syscall(SYS_close_range, first, last, 0U) == 0;
    };
    const auto kept = static_cast<unsigned>(pipe);
    const bool is_alone = ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent &&
                          close_from(3, kept - 1) && close_from(kept + 1, ~0U) && become_undumpable().has_value();
    if (!is_alone) ::_exit(1);
    ::prctl(PR_SET_NAME, kProcessName);
    const std::string told = encode_lookup(ask());
    std::string_view left = told;
    while (!left.empty()) {
        const ssize_t written = ::write(pipe, left.data(), left.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) ::_exit(1);
        left.remove_prefix(static_cast<std::size_t>(written));
    }
    ::_exit(0);
}

// Ended whatever becomes of the question.
class LookupProcess {
public:
    explicit LookupProcess(pid_t pid) : pid_(pid) {}
    ~LookupProcess() {
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
    }
    LookupProcess(const LookupProcess&) = delete;
    LookupProcess& operator=(const LookupProcess&) = delete;

private:
    pid_t pid_;
};

// Appends what is there; true at the end, or when it is more than anybody should say.
bool read_into(std::string& bytes, int pipe) {
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(pipe, buffer.data(), buffer.size());
    if (size < 0) return errno != EINTR && errno != EAGAIN;
    bytes.append(buffer.data(), static_cast<std::size_t>(size));
    return size == 0 || bytes.size() > kLookupAnswerBytesMax;
}

bool is_address(const std::string& url) {
    return url.size() <= kLookupAddressBytesMax && std::holds_alternative<std::string>(profiles::parse_https_url(url));
}

bool is_address_or_none(const std::string& url) { return url.empty() || is_address(url); }

bool are_addresses(const ServerMetadata& server) {
    const MutualTlsEndpoints& mutual = server.mutual_tls;
    const std::string* const all[] = {&server.authorization_endpoint, &server.token_endpoint,
                                      &server.revocation_endpoint, &server.introspection_endpoint,
                                      &server.device_authorization_endpoint, &server.pushed_authorization_endpoint,
                                      &mutual.token_endpoint, &mutual.revocation_endpoint,
                                      &mutual.introspection_endpoint, &mutual.device_authorization_endpoint,
                                      &mutual.pushed_authorization_endpoint};
    return std::all_of(std::begin(all), std::end(all), [](const std::string* url) { return is_address_or_none(*url); });
}

std::string printable(std::string text) {
    std::replace_if(text.begin(), text.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
    return text;
}

// What read_server_metadata() and its like have seen to, seen to once more: they ran where a flaw may have been used.
bool is_right(const LookupAnswer& answer, const Lookup& lookup) {
    if (!answer.is_there) return true;
    const auto& issuers = answer.resource.authorization_servers;
    switch (lookup.what) {
        case Lookup::For::Issuer: return answer.server.issuer == lookup.about && are_addresses(answer.server);
        case Lookup::For::Resource:
            return answer.resource.resource == lookup.about && std::all_of(issuers.begin(), issuers.end(), is_address);
        case Lookup::For::Challenge: return is_address(answer.named);
    }
    return false;
}

}  // namespace

std::string encode_lookup(const Result<LookupAnswer>& answer) {
    wire::BinaryWriter writer;
    writer.put(static_cast<std::uint8_t>(answer.has_value()));
    if (answer.has_value()) {
        writer.put(*answer);
    } else {
        writer.put(static_cast<std::uint8_t>(answer.error().code));
        writer.put(answer.error().what);
    }
    return writer.take();
}

Result<LookupAnswer> decode_lookup(std::string_view bytes, const Lookup& lookup) {
    const Error broken{Errc::Protocol, "its metadata could not be read"};
    if (bytes.size() > kLookupAnswerBytesMax) return broken;
    wire::BinaryReader reader(bytes);
    bool is_answer = false;
    reader.get(is_answer);
    if (is_answer) {
        LookupAnswer answer;
        reader.get(answer);
        if (!reader.finish() || !is_right(answer, lookup)) return broken;
        return answer;
    }
    std::uint8_t code = 0;
    std::string what;
    reader.get(code);
    reader.get(what);
    if (!reader.finish() || code > static_cast<std::uint8_t>(Errc::Internal)) return broken;
    return Error{static_cast<Errc>(code), printable(what.substr(0, kLookupSentenceBytesMax))};
}

Result<LookupAnswer> look_up(ProviderTalk& talk, const profiles::UpstreamConfig& upstream, const Lookup& lookup) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return io_error("pipe");
    const UniqueFd ours(ends[0]);
    UniqueFd theirs(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return io_error("fork the look-up");
    if (pid == 0) {
        answer_into(theirs.get(), parent, [&] { return ask(talk.clock(), talk.deadline(), upstream, lookup); });
    }
    theirs.reset();
    const LookupProcess process(pid);
    std::string bytes;
    bool has_ended = false;
    talk.loop().watch(ours.get(), [&] { has_ended = read_into(bytes, ours.get()); });
    const Result<bool> waited = talk.wait([&] { return has_ended; }, talk.deadline());
    talk.loop().forget(ours.get());
    if (!waited) return waited.error();
    if (!*waited) return Error{Errc::Timeout, "it did not answer in time"};
    return decode_lookup(bytes, lookup);
}

}  // namespace sanctum::vault
