// SPDX-License-Identifier: Apache-2.0
// The only file that knows Boost.Beast. Its parser is used through basic_parser's callbacks, so a body is never
// copied: pieces are views into what was fed.
#include "interceptor/http/http1_decoder.hpp"

#include "base/limits.hpp"
#include "interceptor/http/gate.hpp"
#include "interceptor/http/grammar.hpp"

#include <boost/beast/http/basic_parser.hpp>

#include <optional>

namespace sanctum::interceptor {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
using beast::error_code;

/// Collects what one message's callbacks say.
template <bool is_request>
class Parser final : public http::basic_parser<is_request> {
public:
    Parser() {
        this->eager(false);
        this->header_limit(static_cast<std::uint32_t>(kHeadBytesMax));
        this->body_limit(boost::none);
    }

    /// One step over `input`; returns how many bytes were used. `piece` and `refusal` tell what happened.
    std::size_t step(std::span<char> input, error_code& ec) {
        input_ = input;
        piece = {};
        return this->put(boost::asio::const_buffer(input.data(), input.size()), ec);
    }

    /// Between chunks. Every rest of a message is at least `0 CR LF CR LF` long there, and Beast asserts it.
    [[nodiscard]] bool is_before_chunk() const {
        return this->is_header_done() && this->chunked() && !this->is_done() && chunk_rest_ == 0;
    }

    RawHead raw;
    Fields trailers;
    std::string_view piece;
    std::optional<Error> refusal;  ///< ours, more precise than Beast's code

private:
    void refuse(Errc code, std::string what, error_code& ec) {
        refusal = Error{code, std::move(what)};
        ec = http::error::bad_value;
    }
    void on_request_impl(http::verb, beast::string_view method, beast::string_view target, int version,
                         error_code& ec) override {
        if (target.size() > kTargetBytesMax) {
            return refuse(Errc::Limit, "RFC 9112 3: the request target is longer than 8 KiB", ec);
        }
        raw.method.assign(method.data(), method.size());
        raw.target.assign(target.data(), target.size());
        raw.is_http10 = version == 10;
    }
    void on_response_impl(int status, beast::string_view reason, int version, error_code&) override {
        raw.status = static_cast<std::uint16_t>(status);
        raw.reason.assign(reason.data(), reason.size());
        raw.is_http10 = version == 10;
    }
    void on_field_impl(http::field, beast::string_view name, beast::string_view value, error_code& ec) override {
        Fields& fields = this->is_header_done() ? trailers : raw.fields;
        if (fields.size() >= kHeadFieldsMax) return refuse(Errc::Limit, "more than 100 header fields", ec);
        if (is_folded(name)) return refuse(Errc::Protocol, "RFC 9112 5.2: a header line is folded", ec);
        fields.push_back({lower_case(std::string_view(name.data(), name.size())), std::string(value)});
    }
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
    std::size_t on_body_impl(beast::string_view body, error_code&) override { return take(body); }
    void on_chunk_header_impl(std::uint64_t size, beast::string_view extensions, error_code& ec) override {
        chunk_rest_ = size;
        if (extensions.size() > (is_request ? 0 : kChunkExtensionBytesMax)) {
            refuse(Errc::Protocol, "RFC 9112 7.1.1: chunk extensions are not accepted", ec);
        } else if (extensions.find('\n') != beast::string_view::npos) {
            refuse(Errc::Protocol, "RFC 9112 2.2: a line ends with a bare LF", ec);  // also where its line came at once
        }
    }
    std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view body, error_code&) override {
        chunk_rest_ -= body.size();
        return take(body);
    }
    void on_finish_impl(error_code&) override {}

    /// Beast unfolds silently. It reads fields only when all of them are here, so the byte behind a line is too.
    [[nodiscard]] bool is_folded(beast::string_view name) const {
        const char* const behind = name.data() + name.size();
        const std::string_view rest(behind, static_cast<std::size_t>(input_.data() + input_.size() - behind));
        const std::size_t end = rest.find('\n');
        if (end == std::string_view::npos || end + 1 >= rest.size()) return false;
        return rest[end + 1] == ' ' || rest[end + 1] == '\t';
    }

    std::size_t take(beast::string_view body) {
        piece = std::string_view(body.data(), body.size());
        return body.size();
    }

    std::span<char> input_;
    std::uint64_t chunk_rest_ = 0;
};

constexpr std::size_t kLastChunkBytes = 5;

}  // namespace

/// The message loop around one Parser per message: leftovers, limits, and the order of events.
template <bool is_request>
class Http1Engine {
public:
    enum class Step { NeedMore, Head, Body, Trailers, End };

    void feed(std::span<char> bytes) {
        if (input_.empty()) {
            input_ = bytes;
            return;
        }
        carry_.append(bytes.data(), bytes.size());
        input_ = carry_;
    }

    Result<Step> next() {
        if (!parser_) start_message();
        while (true) {
            if (parser_->is_header_done() && !head_told_) {
                head_told_ = true;
                return Step::Head;
            }
            if (parser_->is_done()) return finish_message();
            if (input_.empty()) return Step::NeedMore;
            if (parser_->is_before_chunk() && input_.size() < kLastChunkBytes) return keep_rest();
            error_code ec;
            const std::size_t used = parser_->step(input_, ec);
            input_ = input_.subspan(used);
            has_started_ = true;
            if (!head_told_) head_bytes_ += used;
            if (parser_->refusal) return *parser_->refusal;
            if (ec == http::error::header_limit) return too_large_head();
            if (ec && ec != http::error::need_more) return Error{Errc::Protocol, "RFC 9112: " + ec.message()};
            SANCTUM_CHECK(check_head_size());
            if (ec) return keep_rest();
            if (!parser_->piece.empty()) return Step::Body;
        }
    }

    Status feed_end() {
        if (!parser_ || !parser_->got_some()) return Error{Errc::Protocol, "the stream ended before a message"};
        error_code ec;
        parser_->put_eof(ec);
        if (ec || !input_.empty()) return Error{Errc::Protocol, "RFC 9112 8: the stream ended within a message"};
        return {};
    }

    void skip_body() {
        start_message();
        parser_->skip(true);
    }
    void start_message() {
        parser_.emplace();
        head_told_ = false;
        trailers_told_ = false;
        head_bytes_ = 0;
    }
    void restart() {
        start_message();
        has_started_ = false;
    }

    [[nodiscard]] RawHead take_head() { return std::move(parser_->raw); }
    [[nodiscard]] Fields take_trailers() { return std::move(parser_->trailers); }
    [[nodiscard]] std::span<char> piece() const {
        // The piece lies within what feed() was lent as writable memory, or within carry_.
        return {const_cast<char*>(parser_->piece.data()), parser_->piece.size()};
    }
    [[nodiscard]] bool is_between_messages() const { return !parser_ || !parser_->got_some(); }
    [[nodiscard]] bool has_unread() const { return !input_.empty(); }
    [[nodiscard]] bool has_started() const { return has_started_; }

private:
    Result<Step> finish_message() {
        if (!parser_->trailers.empty() && !trailers_told_) {
            trailers_told_ = true;
            return Step::Trailers;
        }
        parser_.reset();
        return Step::End;
    }
    Status check_head_size() const {
        // What Beast left over before the head is done is head as well.
        const std::size_t rest = parser_->is_header_done() ? 0 : input_.size();
        if (head_bytes_ + rest <= kHeadBytesMax) return {};
        return too_large_head();
    }
    static Error too_large_head() {
        return Error{Errc::Limit, "RFC 9110 5.4: the header section is larger than 32 KiB"};
    }
    /// Beast wants an unfinished line again, with more behind it; the lent buffer will be overwritten by then.
    Result<Step> keep_rest() {
        carry_ = std::string(input_.data(), input_.size());
        input_ = carry_;
        if (!parser_->is_header_done()) return refuse_bare_line_feed();
        // Behind the head this is a chunk's size line or the trailer section, which are short.
        if (carry_.size() > kTrailerBytesMax) {
            return Error{Errc::Limit, "RFC 9112 7.1.2: the trailer section is larger than 8 KiB"};
        }
        return parser_->is_before_chunk() ? refuse_bare_line_feed_at_chunk() : Result<Step>(Step::NeedMore);
    }
    /// Beast looks for CR LF first; a client that ends its lines otherwise would wait for the deadline.
    Result<Step> refuse_bare_line_feed() const {
        for (std::size_t at = carry_.find('\n'); at != std::string::npos; at = carry_.find('\n', at + 1)) {
            if (at > 0 && carry_[at - 1] == '\r') continue;
            return Error{Errc::Protocol, "RFC 9112 2.2: a line ends with a bare LF"};
        }
        return Step::NeedMore;
    }

    /// The same for the line with a chunk's size, and for trailers; what stands behind another size line is data.
    Result<Step> refuse_bare_line_feed_at_chunk() const {
        const std::size_t begin = carry_.starts_with("\r\n") ? 2 : 0;  // the end of the chunk before
        const std::size_t end = carry_.find("\r\n", begin);
        const std::string_view line = std::string_view(carry_).substr(begin, end - begin);
        const bool is_last = !line.empty() && line.find_first_not_of('0') == std::string_view::npos;
        const bool is_data_behind = end != std::string::npos && !is_last && line.find('\n') == std::string_view::npos;
        return is_data_behind ? Result<Step>(Step::NeedMore) : refuse_bare_line_feed();
    }

    std::optional<Parser<is_request>> parser_;
    std::span<char> input_;
    std::string carry_;
    std::size_t head_bytes_ = 0;
    bool head_told_ = false;
    bool trailers_told_ = false;
    bool has_started_ = false;
};

RequestDecoder::RequestDecoder() : engine_(std::make_unique<Http1Engine<true>>()) {}
RequestDecoder::~RequestDecoder() = default;
RequestDecoder::RequestDecoder(RequestDecoder&&) noexcept = default;
RequestDecoder& RequestDecoder::operator=(RequestDecoder&&) noexcept = default;

void RequestDecoder::feed(std::span<char> bytes) { engine_->feed(bytes); }
bool RequestDecoder::is_between_messages() const { return engine_->is_between_messages(); }
bool RequestDecoder::has_unread() const { return engine_->has_unread(); }

Result<RequestEvent> RequestDecoder::next() {
    using Step = Http1Engine<true>::Step;
    SANCTUM_TRY(const Step step, engine_->next());
    switch (step) {
        case Step::Head: {
            SANCTUM_TRY(RequestHead head, gate_request(engine_->take_head()));
            return RequestEvent(std::move(head));
        }
        case Step::Body: return RequestEvent(BodyChunk{engine_->piece()});
        case Step::Trailers: {
            SANCTUM_TRY(Fields fields, gate_trailers(engine_->take_trailers()));
            return RequestEvent(Trailers{std::move(fields)});
        }
        case Step::End: return RequestEvent(EndOfMessage{});
        case Step::NeedMore: break;
    }
    return RequestEvent(NeedMore{});
}

ResponseDecoder::ResponseDecoder() : engine_(std::make_unique<Http1Engine<false>>()) {}
ResponseDecoder::~ResponseDecoder() = default;
ResponseDecoder::ResponseDecoder(ResponseDecoder&&) noexcept = default;
ResponseDecoder& ResponseDecoder::operator=(ResponseDecoder&&) noexcept = default;

void ResponseDecoder::expect(ResponseTo request) {
    is_to_head_ = request == ResponseTo::Head;
    engine_->restart();
    if (is_to_head_) engine_->skip_body();
}
void ResponseDecoder::feed(std::span<char> bytes) { engine_->feed(bytes); }
Status ResponseDecoder::feed_end() { return engine_->feed_end(); }
bool ResponseDecoder::has_started() const { return engine_->has_started(); }
bool ResponseDecoder::has_unread() const { return engine_->has_unread(); }

Result<ResponseEvent> ResponseDecoder::next() {
    using Step = Http1Engine<false>::Step;
    SANCTUM_TRY(const Step step, engine_->next());
    switch (step) {
        case Step::Head: {
            SANCTUM_TRY(ResponseHead head, gate_response(engine_->take_head(), is_to_head_));
            was_interim_ = head.is_interim();
            return ResponseEvent(std::move(head));
        }
        case Step::Body: return ResponseEvent(BodyChunk{engine_->piece()});
        case Step::Trailers: {
            SANCTUM_TRY(Fields fields, gate_trailers(engine_->take_trailers()));
            return ResponseEvent(Trailers{std::move(fields)});
        }
        case Step::End:
            if (!was_interim_) return ResponseEvent(EndOfMessage{});
            // An interim response has no end of its own: the final one follows on the same connection.
            was_interim_ = false;
            if (is_to_head_) engine_->skip_body();
            return next();
        case Step::NeedMore: break;
    }
    return ResponseEvent(NeedMore{});
}

}  // namespace sanctum::interceptor
