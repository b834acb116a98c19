// SPDX-License-Identifier: Apache-2.0
// The vault's only file that knows Boost.Beast, whose parser is used through basic_parser's callbacks.
#include "vault/http/answer_parser.hpp"

#include "base/limits.hpp"
#include "network/host_name.hpp"
#include "vault/http/wiped_bytes.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <functional>
#include <optional>

namespace sanctum::vault {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::error_code;

constexpr std::size_t kLastChunkBytes = 5;

// Collects what one message's callbacks say.
class Parser final : public http::basic_parser<false> {
public:
    Parser() {
        eager(false);
        header_limit(static_cast<std::uint32_t>(kProviderHeadBytesMax));
        body_limit(static_cast<std::uint64_t>(kProviderAnswerBytesMax));
    }

    std::size_t step(std::string_view input, error_code& ec) {
        input_ = input;
        return put(boost::asio::const_buffer(input.data(), input.size()), ec);
    }
    /// Between chunks. Every rest of a message is at least `0 CR LF CR LF` long there, and Beast asserts it.
    [[nodiscard]] bool is_before_chunk() const {
        return is_header_done() && chunked() && !is_done() && chunk_rest_ == 0;
    }

    HttpResponse response;
    WipedBytes body;
    std::optional<Error> refusal;  ///< ours, more precise than Beast's code

private:
    void refuse(Errc code, const char* what, error_code& ec) {
        refusal = Error{code, what};
        ec = http::error::bad_value;
    }
    void on_request_impl(http::verb, beast::string_view, beast::string_view, int, error_code&) override {}
    void on_response_impl(int status, beast::string_view, int version, error_code& ec) override {
        response.status = status;
        if (version != 11) refuse(Errc::Protocol, "RFC 9112 2.3: the answer is not HTTP/1.1", ec);
        if (status == 101) refuse(Errc::Protocol, "RFC 9110 15.2.2: a change of protocol that nobody asked for", ec);
    }
    void on_field_impl(http::field, beast::string_view name, beast::string_view value, error_code& ec) override {
        if (++fields_ > kHeadFieldsMax) return refuse(Errc::Limit, "the answer has more than 100 header fields", ec);
        // Beast unfolds a folded line into a buffer of its own; a value that is not in our input was folded.
        const std::less<const char*> before;
        if (!value.empty() &&
            (before(value.data(), input_.data()) || !before(value.data(), input_.data() + input_.size()))) {
            return refuse(Errc::Protocol, "RFC 9112 5.2: a header line is folded", ec);
        }
        if (is_header_done()) return;  // trailers say nothing that anybody here asks for
        const std::string lower = network::to_lower(std::string_view(name.data(), name.size()));
        if (lower == "content-length") ++lengths_;
        if (lower == "transfer-encoding") ++encodings_;
        response.headers.try_emplace(lower, std::string(value.data(), value.size()));
    }
    // SECURITY: one message has one length. Two, even equal ones, come from somebody who repairs, or smuggles.
    void on_header_impl(error_code& ec) override {
        const std::string_view length = response.header("content-length");
        if (lengths_ > 1 || length.find_first_not_of("0123456789") != std::string_view::npos) {
            return refuse(Errc::Protocol, "RFC 9112 6.3: content-length is there twice, or no number", ec);
        }
        if (lengths_ + encodings_ > 1) {
            return refuse(Errc::Protocol, "RFC 9112 6.1: the answer has a length and a transfer encoding", ec);
        }
        if (encodings_ == 1 && network::to_lower(response.header("transfer-encoding")) != "chunked") {
            return refuse(Errc::Protocol, "RFC 9112 6.1: a transfer encoding that is not `chunked`", ec);
        }
        const std::string content = network::to_lower(response.header("content-encoding"));
        if (!content.empty() && content != "identity") {
            return refuse(Errc::Protocol, "RFC 9110 12.5.3: the answer is compressed although it must not be", ec);
        }
    }
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(beast::string_view piece, error_code& ec) override { return take_piece(piece, ec); }
    void on_chunk_header_impl(std::uint64_t size, beast::string_view extensions, error_code& ec) override {
        chunk_rest_ = size;
        if (extensions.size() > kChunkExtensionBytesMax) {
            refuse(Errc::Protocol, "RFC 9112 7.1.1: long chunk extensions are not accepted", ec);
        }
    }
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view piece, error_code& ec) override {
        chunk_rest_ -= piece.size();
        return take_piece(piece, ec);
    }
    void on_finish_impl(error_code&) override {}

    std::size_t take_piece(beast::string_view piece, error_code& ec) {
        if (body.size() + piece.size() > kProviderAnswerBytesMax) ec = http::error::body_limit;
        else body.append(std::string_view(piece.data(), piece.size()));
        return piece.size();
    }

    std::string_view input_;
    std::uint64_t chunk_rest_ = 0;
    std::size_t fields_ = 0;
    int lengths_ = 0;
    int encodings_ = 0;
};

Error too_large_head() { return {Errc::Limit, "RFC 9110 5.4: the answer's head is larger than 64 KiB"}; }

Error explain(const error_code& ec) {
    if (ec == http::error::header_limit) return too_large_head();
    if (ec == http::error::body_limit) return {Errc::Limit, "the answer is longer than 256 KiB"};
    return {Errc::Protocol, "RFC 9112: " + ec.message()};
}

}  // namespace

struct AnswerParser::State {
    std::optional<Parser> parser{std::in_place};
    WipedBytes input;  ///< not used yet
    std::size_t head_bytes = 0;
    int interim = 0;
    bool has_started = false;
    bool is_done = false;

    // One step over the input. True: there may be another.
    Result<bool> advance() {
        if (parser->is_before_chunk() && input.size() < kLastChunkBytes) return false;
        const bool was_head = !parser->is_header_done();
        error_code ec;
        const std::size_t used = parser->step(input.reveal(), ec);
        input.drop_front(used);
        if (parser->refusal) return *parser->refusal;
        if (ec && ec != http::error::need_more) return explain(ec);
        if (was_head) head_bytes += used;
        const std::size_t head_rest = parser->is_header_done() ? 0 : input.size();
        if (head_bytes + head_rest > kProviderHeadBytesMax) return too_large_head();
        // Behind the head an unfinished line is a chunk's size or a trailer.
        if (ec && parser->is_header_done() && input.size() > kTrailerBytesMax) {
            return Error{Errc::Limit, "RFC 9112 7.1.2: the answer's trailer section is larger than 8 KiB"};
        }
        if (parser->is_done()) return finish_message();
        return !ec;
    }

    Result<bool> finish_message() {
        if (parser->response.status >= 200) {
            is_done = true;
            return false;
        }
        if (++interim > kProviderInterimMax) {
            return Error{Errc::Protocol, "RFC 9110 15.2: more than 5 interim answers"};
        }
        parser.emplace();
        return true;
    }
};

AnswerParser::AnswerParser() : state_(std::make_unique<State>()) {}
AnswerParser::~AnswerParser() = default;

bool AnswerParser::has_started() const { return state_->has_started; }
bool AnswerParser::is_done() const { return state_->is_done; }

Status AnswerParser::feed(std::string_view bytes) {
    if (bytes.empty() || state_->is_done) return {};
    state_->has_started = true;
    state_->input.append(bytes);
    while (!state_->input.is_empty()) {
        SANCTUM_TRY(const bool goes_on, state_->advance());
        if (!goes_on) break;
    }
    return {};
}

Status AnswerParser::end() {
    if (state_->is_done) return {};
    if (!state_->has_started) return Error{Errc::Cancelled, "the connection ended without an answer"};
    Parser& parser = *state_->parser;
    error_code ec;
    if (parser.got_some() && state_->input.is_empty()) parser.put_eof(ec);
    if (ec || !parser.is_done() || parser.response.status < 200) {
        return Error{Errc::Protocol, "RFC 9112 8: the answer ends midway"};
    }
    state_->is_done = true;
    return {};
}

HttpResponse AnswerParser::take() {
    SANCTUM_ASSERT(state_->is_done);
    HttpResponse response = std::move(state_->parser->response);
    response.body = Secret(state_->parser->body.reveal());
    state_->parser->body.clear();
    return response;
}

}  // namespace sanctum::vault
