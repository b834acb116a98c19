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

/// Where a browser comes back to on this machine, as the provider has it registered.
struct LoopbackPlace {
    std::string host = "127.0.0.1";  ///< or `localhost`, the name of the same place
    std::uint16_t port = 0;          ///< 0: one that is free
    std::string path = "/callback";
};

/// The query of a GET for `place`, or the page that refuses. `head`: until its empty line. Pure.
[[nodiscard]] std::variant<LoopbackQuery, LoopbackPage> read_loopback_request(std::string_view head,
                                                                              const LoopbackPlace& place);

/// Where the provider puts its answer into the address that the browser comes back to.
enum class AnswerIn : std::uint8_t {
    Query,
    Fragment,  ///< which no browser sends: a page of ours leads on to the same in the query
};

class LoopbackListener {
public:
    /// Says what the page tells, and through `is_answer` whether this was what was waited for.
    using Judge = std::function<LoopbackPage(const LoopbackQuery& query, bool& is_answer)>;

    /// Listens on 127.0.0.1, whatever the place is called. `loop` must outlive it. Errors: Io (the port is taken).
    [[nodiscard]] static Result<std::unique_ptr<LoopbackListener>> open(LoopbackPlace place, AnswerIn where,
                                                                        PollLoop& loop, Judge judge);
    ~LoopbackListener();
    LoopbackListener(const LoopbackListener&) = delete;
    LoopbackListener& operator=(const LoopbackListener&) = delete;

    /// `http://127.0.0.1:PORT/callback`, with the place's own name and path.
    [[nodiscard]] std::string redirect_uri() const;
    /// True once there was an answer; from then on nobody is listened to.
    [[nodiscard]] bool is_done() const { return is_done_; }

private:
    struct Visitor {
        UniqueFd socket;
        std::string received;
    };
    LoopbackListener(UniqueFd socket, LoopbackPlace place, AnswerIn where, PollLoop& loop, Judge judge);
    void accept_visitors();
    void serve(int fd);
    void answer(Visitor& visitor, std::string_view head);
    [[nodiscard]] std::string answer_of(std::string_view head);
    void drop(int fd);

    UniqueFd socket_;
    LoopbackPlace place_;
    AnswerIn where_;
    PollLoop& loop_;
    Judge judge_;
    std::list<Visitor> visitors_;  ///< oldest first
    bool is_done_ = false;
};

}  // namespace sanctum::vault
