// SPDX-License-Identifier: Apache-2.0
#include "interceptor/dns/answer.hpp"

#include "network/host_name.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

namespace sanctum::interceptor {
namespace {

enum Type : std::uint16_t { kA = 1, kSoa = 6, kPtr = 12, kAaaa = 28, kOpt = 41, kAny = 255 };
enum Rcode : std::uint8_t { kNoError = 0, kFormErr = 1, kNxDomain = 3, kNotImp = 4, kRefused = 5, kBadVers = 16 };

constexpr std::uint16_t kInternet = 1;
constexpr std::size_t kHeaderBytes = 12;
constexpr std::uint16_t kQuestionName = 0xc00c;  // a pointer to the one question's name

struct Question {
    std::string name;       ///< lower-case, dots between labels, no last dot
    bool is_text = true;    ///< false: a label holds a dot or a byte that no text form can show
    std::uint16_t type = 0;
    std::uint16_t of_class = 0;
    std::size_t end = 0;    ///< offset after the question
};

struct Edns {
    bool is_present = false;
    std::uint8_t version = 0;
};

std::uint16_t number16(std::string_view bytes, std::size_t at) {
    const auto byte = [&](std::size_t place) { return static_cast<std::uint8_t>(bytes[place]); };
    return static_cast<std::uint16_t>(byte(at) << 8U | byte(at + 1));
}

void put16(std::string& out, std::uint16_t value) {
    out.push_back(static_cast<char>(value >> 8U));
    out.push_back(static_cast<char>(value & 0xffU));
}

void put32(std::string& out, std::uint32_t value) {
    put16(out, static_cast<std::uint16_t>(value >> 16U));
    put16(out, static_cast<std::uint16_t>(value & 0xffffU));
}

void put_name(std::string& out, std::string_view name) {
    while (!name.empty()) {
        const std::string_view label = name.substr(0, name.find('.'));
        out.push_back(static_cast<char>(label.size()));
        out += label;
        name.remove_prefix(std::min(name.size(), label.size() + 1));
    }
    out.push_back('\0');
}

// Skips a name at `at`; compression pointers end it. nullopt when it runs over the end.
std::optional<std::size_t> skip_name(std::string_view message, std::size_t at) {
    while (at < message.size()) {
        const auto size = static_cast<std::uint8_t>(message[at]);
        if (size >= 0xc0) return at + 2;
        if (size > 63) return std::nullopt;
        at += 1U + size;
        if (size == 0) return at;
    }
    return std::nullopt;
}

// A question's own name is never compressed: there is nothing before it to point to.
std::optional<Question> read_question(std::string_view message) {
    Question question;
    std::size_t at = kHeaderBytes;
    for (;;) {
        if (at >= message.size()) return std::nullopt;
        const auto size = static_cast<std::uint8_t>(message[at++]);
        if (size == 0) break;
        if (size > 63 || at + size > message.size()) return std::nullopt;
        const std::string_view label = message.substr(at, size);
        for (const char c : label) question.is_text &= c > ' ' && c < 0x7f && c != '.';
        if (!question.name.empty()) question.name.push_back('.');
        question.name += network::to_lower(label);
        at += size;
        if (at - kHeaderBytes > 254) return std::nullopt;
    }
    if (at + 4 > message.size()) return std::nullopt;
    question.type = number16(message, at);
    question.of_class = number16(message, at + 2);
    question.end = at + 4;
    return question;
}

// The OPT record among what follows the question. nullopt: the message is damaged, or has two of them.
std::optional<Edns> read_edns(std::string_view message, std::size_t at, std::size_t records) {
    Edns edns;
    for (std::size_t i = 0; i < records; ++i) {
        const std::optional<std::size_t> fixed = skip_name(message, at);
        if (!fixed || *fixed + 10 > message.size()) return std::nullopt;
        const std::size_t data = number16(message, *fixed + 8);
        if (*fixed + 10 + data > message.size()) return std::nullopt;
        if (number16(message, *fixed) == kOpt) {
            if (edns.is_present) return std::nullopt;
            edns = {true, static_cast<std::uint8_t>(message[*fixed + 5])};
        }
        at = *fixed + 10 + data;
    }
    return edns;
}

std::string a_record(std::uint32_t address) {
    std::string record;
    put16(record, kQuestionName);
    put16(record, kA);
    put16(record, kInternet);
    put32(record, kDnsTtlSeconds);
    put16(record, 4);
    put32(record, address);
    return record;
}

std::string aaaa_localhost() {
    std::string record;
    put16(record, kQuestionName);
    put16(record, kAaaa);
    put16(record, kInternet);
    put32(record, kDnsTtlSeconds);
    put16(record, 16);
    record += std::string(15, '\0') + '\x01';
    return record;
}

std::string ptr_record(const std::string& name) {
    std::string target;
    put_name(target, name);
    std::string record;
    put16(record, kQuestionName);
    put16(record, kPtr);
    put16(record, kInternet);
    put32(record, kDnsTtlSeconds);
    put16(record, static_cast<std::uint16_t>(target.size()));
    return record + target;
}

// Negative answers carry one, so that they are kept for a while and not asked again (RFC 2308 section 5).
std::string soa_record() {
    std::string data;
    put_name(data, "sanctum.invalid");
    put_name(data, "sanctum.invalid");
    for (const std::uint32_t value : {1U, 3600U, 600U, 86400U, kDnsTtlSeconds}) put32(data, value);
    std::string record(1, '\0');
    put16(record, kSoa);
    put16(record, kInternet);
    put32(record, kDnsTtlSeconds);
    put16(record, static_cast<std::uint16_t>(data.size()));
    return record + data;
}

struct Reply {
    std::uint8_t rcode = kNoError;
    std::string answer;
    bool is_negative = false;
};

// `4.0.18.198.in-addr.arpa` → 198.18.0.4.
std::optional<std::uint32_t> address_of_reverse(std::string_view name) {
    constexpr std::string_view kEnding = ".in-addr.arpa";
    if (!name.ends_with(kEnding)) return std::nullopt;
    name.remove_suffix(kEnding.size());
    std::uint32_t address = 0;
    for (unsigned part = 0; part < 4; ++part) {
        const std::string_view digits = name.substr(0, name.find('.'));
        unsigned value = 256;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size() || value > 255) return std::nullopt;
        address |= value << (8 * part);
        name.remove_prefix(std::min(name.size(), digits.size() + (part < 3 ? 1 : 0)));
    }
    if (!name.empty()) return std::nullopt;
    return address;
}

bool is_localhost(std::string_view name) { return name == "localhost" || name.ends_with(".localhost"); }

// `name.invalid` never exists (RFC 6761), and a name without a dot is no host of the Internet: programs look such
// names up to find a machine of their own network (`wpad`, `printer`).
bool can_be_host(const std::string& name) {
    return network::is_host_name(name) && name.find('.') != std::string::npos && !name.ends_with(".invalid") &&
           !name.ends_with(".arpa");
}

Reply reply_for(const Question& question, AddressPool& pool) {
    if (!question.is_text) return {kNxDomain, "", true};
    if (is_localhost(question.name)) {
        if (question.type == kA || question.type == kAny) return {kNoError, a_record(0x7f000001), false};
        if (question.type == kAaaa) return {kNoError, aaaa_localhost(), false};
        return {kNoError, "", true};
    }
    if (question.name.ends_with(".arpa")) {
        const std::optional<std::uint32_t> address = address_of_reverse(question.name);
        const std::optional<std::string> name = address ? pool.name_of(*address) : std::nullopt;
        if (!name) return {kNxDomain, "", true};
        if (question.type == kPtr || question.type == kAny) return {kNoError, ptr_record(*name), false};
        return {kNoError, "", true};
    }
    if (!can_be_host(question.name)) return {kNxDomain, "", true};
    if (question.type != kA && question.type != kAny) return {kNoError, "", true};
    return {kNoError, a_record(pool.address_of(question.name)), false};
}

std::string message_of(std::string_view query, std::size_t question_end, const Reply& reply, const Edns& edns) {
    std::string out;
    out += query.substr(0, 2);
    // QR, the query's opcode, AA and RD; RA, so that stub resolvers are content.
    const auto opcode_and_rd = static_cast<std::uint8_t>(static_cast<std::uint8_t>(query[2]) & 0x79U);
    out.push_back(static_cast<char>(0x84U | opcode_and_rd));
    out.push_back(static_cast<char>(0x80U | (reply.rcode & 0x0fU)));
    put16(out, question_end > kHeaderBytes ? 1 : 0);
    put16(out, reply.answer.empty() ? 0 : 1);
    put16(out, reply.is_negative ? 1 : 0);
    put16(out, edns.is_present ? 1 : 0);
    out += query.substr(kHeaderBytes, question_end - kHeaderBytes);
    out += reply.answer;
    if (reply.is_negative) out += soa_record();
    if (edns.is_present) {
        out.push_back('\0');
        put16(out, kOpt);
        put16(out, static_cast<std::uint16_t>(kDnsMessageBytesMax));
        out.push_back(static_cast<char>(reply.rcode >> 4U));
        out.push_back('\0');
        put16(out, 0);
        put16(out, 0);
    }
    return out;
}

}  // namespace

std::optional<std::string> answer_dns(std::string_view query, AddressPool& pool) {
    if (query.size() < kHeaderBytes) return std::nullopt;
    const auto flags = static_cast<std::uint8_t>(query[2]);
    if ((flags & 0x80U) != 0) return std::nullopt;  // an answer: answering it could go on for ever
    const auto without_question = [&](std::uint8_t rcode) {
        return message_of(query, kHeaderBytes, {rcode, "", false}, {});
    };
    if ((flags & 0x78U) != 0) return without_question(kNotImp);
    if ((flags & 0x02U) != 0 || number16(query, 4) != 1) return without_question(kFormErr);
    const std::optional<Question> question = read_question(query);
    if (!question) return without_question(kFormErr);
    const std::size_t records = std::size_t{number16(query, 6)} + number16(query, 8) + number16(query, 10);
    const std::optional<Edns> edns = read_edns(query, question->end, records);
    if (!edns) return without_question(kFormErr);
    if (edns->version != 0) return message_of(query, question->end, {kBadVers, "", false}, *edns);
    if (question->of_class != kInternet && question->of_class != kAny) {
        return message_of(query, question->end, {kRefused, "", false}, *edns);
    }
    return message_of(query, question->end, reply_for(*question, pool), *edns);
}

}  // namespace sanctum::interceptor
