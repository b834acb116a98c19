// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/upstream_side.hpp"

#include "base/limits.hpp"

namespace sanctum::interceptor {

UpstreamSide::UpstreamSide(Upstream upstream, ResponseTo request) : upstream_(std::move(upstream)) {
    decoder_.expect(request);
}

net::awaitable<Status> UpstreamSide::write(std::string_view bytes) {
    upstream_.stream->set_deadline(kUpstreamSilenceTime);
    return upstream_.stream->write_all(bytes);
}

net::awaitable<Status> UpstreamSide::more() {
    upstream_.stream->set_deadline(kUpstreamSilenceTime);
    buffer_.release();  // the decoder asks for more, so it has used or copied all
    Status ready = co_await upstream_.stream->wait_to_read();
    if (!ready.has_value()) {
        has_ended_ = true;
        co_return ready;
    }
    Result<std::size_t> count = co_await upstream_.stream->read_some(buffer_.take());
    if (!count.has_value()) {
        has_ended_ = true;
        co_return std::move(count).error();
    }
    if (*count == 0) {
        has_ended_ = true;
        const Status ended = decoder_.feed_end();
        if (!ended.has_value()) co_return Error{Errc::Io, ended.error().what};
        co_return Status{};
    }
    decoder_.feed(buffer_.filled(*count));
    co_return Status{};
}

Upstream UpstreamSide::release() {
    upstream_.stream->clear_deadline();
    return std::move(upstream_);
}

void UpstreamSide::close() {
    has_ended_ = true;
    if (upstream_.stream) upstream_.stream->close();
}

}  // namespace sanctum::interceptor
