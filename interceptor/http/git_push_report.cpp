// SPDX-License-Identifier: Apache-2.0
#include "interceptor/http/git_push_report.hpp"

#include "base/result.hpp"

#include <array>
#include <cstdio>

namespace sanctum::interceptor {
namespace {

// gitprotocol-common(5): four hexadecimal digits that count themselves, then the payload.
constexpr std::string_view kFlush = "0000";
constexpr char kDataBand = '\1';
constexpr char kTextBand = '\2';

void append_packet(std::string& out, std::string_view payload) {
    std::array<char, kPacketLengthDigits + 1> digits{};
    std::snprintf(digits.data(), digits.size(), "%04x", static_cast<unsigned>(payload.size() + kPacketLengthDigits));
    out.append(digits.data(), kPacketLengthDigits).append(payload);
}

/// One band's bytes in as many packets as they need.
void append_band(std::string& out, char band, std::string_view bytes, std::size_t packet_bytes_max) {
    const std::size_t piece_bytes = packet_bytes_max - kPacketLengthDigits - 1;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(piece_bytes, bytes.size()))) {
        append_packet(out, band + std::string(bytes.substr(0, piece_bytes)));
    }
}

/// `unpack ok`, because the word speaks of the server's trouble with the data and there was none; git prints an error
/// of its own for anything else. No ref is accepted, so git knows that nothing has changed.
std::string status_report(const PushCommands& push, std::string_view reason) {
    std::string report;
    append_packet(report, "unpack ok\n");
    for (const profiles::RefUpdate& update : push.updates) {
        append_packet(report, "ng " + update.name + " " + std::string(reason) + "\n");
    }
    return report.append(kFlush);
}

}  // namespace

std::string encode_push_rejection(const PushCommands& push, std::string_view reason, std::string_view text) {
    SANCTUM_ASSERT(push.wants_report());
    std::string report = status_report(push, reason);
    const std::size_t packet_bytes_max = push.side_band_bytes();
    if (packet_bytes_max == 0) return report;
    std::string out;
    append_band(out, kTextBand, text, packet_bytes_max);
    append_band(out, kDataBand, report, packet_bytes_max);
    return out.append(kFlush);
}

}  // namespace sanctum::interceptor
