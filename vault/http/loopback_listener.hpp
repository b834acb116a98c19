// SPDX-License-Identifier: Apache-2.0
// A listener on 127.0.0.1 that waits for one answer which a browser brings (RFC 8252 7.3), and says so on a plain page.
//
// SECURITY: every program on this machine, and through its browser every web page, can send requests here. Whoever is
// asked to judge must know a secret of the right one; all others get an error and change nothing.
#pragma once

#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/unique_fd.hpp"
#include "vault/poll_loop.hpp"

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

namespace sanctum::vault {

/// The parameters of a request's query, decoded; wiped.
class LoopbackQuery {
public:
    /// `a=1&b=2` as application/x-www-form-urlencoded. Errors: Protocol (a name twice, RFC 6749 3.1; broken coding).
    [[nodiscard]] static Result<LoopbackQuery> parse(std::string_view text);
    [[nodiscard]] bool is_empty() const { return parameters_.empty(); }
    /// Empty when it is not there.
    [[nodiscard]] std::string_view text(std::string_view name) const;

private:
    std::map<std::string, Secret, std::less<>> parameters_;
};

/// What is said to a request.
struct LoopbackPage {
    int status = 200;
    std::string sentence;  ///< plain words of ours; never what the request brought
};

/// The query of a GET for /callback at 127.0.0.1:`port`, or the page that refuses. `head`: until its empty line. Pure.
[[nodiscard]] std::variant<LoopbackQuery, LoopbackPage> read_loopback_request(std::string_view head,
                                                                              std::uint16_t port);

/// Where the provider puts its answer into the address that the browser comes back to.
enum class AnswerIn : std::uint8_t {
    Query,
    Fragment,  ///< which no browser sends: a page of ours leads on to the same in the query
};

class LoopbackListener {
public:
    /// Says what the page tells, and through `is_answer` whether this was what was waited for.
    using Judge = std::function<LoopbackPage(const LoopbackQuery& query, bool& is_answer)>;

    /// Listens on `port`, 0: one that is free. `loop` must outlive it. Errors: Io (the port is taken).
    [[nodiscard]] static Result<std::unique_ptr<LoopbackListener>> open(std::uint16_t port, AnswerIn where,
                                                                        PollLoop& loop, Judge judge);
    ~LoopbackListener();
    LoopbackListener(const LoopbackListener&) = delete;
    LoopbackListener& operator=(const LoopbackListener&) = delete;

    /// `http://127.0.0.1:PORT/callback`.
    [[nodiscard]] std::string redirect_uri() const;
    /// True once there was an answer; from then on nobody is listened to.
    [[nodiscard]] bool is_done() const { return is_done_; }

private:
    struct Visitor {
        UniqueFd socket;
        std::string received;
    };
    LoopbackListener(UniqueFd socket, std::uint16_t port, AnswerIn where, PollLoop& loop, Judge judge);
    void accept_visitors();
    void serve(int fd);
    void answer(Visitor& visitor, std::string_view head);
    [[nodiscard]] std::string answer_of(std::string_view head);
    void drop(int fd);

    UniqueFd socket_;
    std::uint16_t port_;
    AnswerIn where_;
    PollLoop& loop_;
    Judge judge_;
    std::list<Visitor> visitors_;  ///< oldest first
    bool is_done_ = false;
};

}  // namespace sanctum::vault
