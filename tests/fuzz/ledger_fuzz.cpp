// SPDX-License-Identifier: Apache-2.0
// Fuzzes the reader of ledgers and receipts. The bytes are read as they are; then the lines among them that are
// records are chained and signed anew, so that what stands behind the chain's checks is reached too: such a ledger
// reads back to the same lines, and its receipt opens.
#include "base/digest.hpp"
#include "ledger/read_ledger.hpp"
#include "ledger/receipt_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using namespace sanctum;
using namespace sanctum::ledger;

constexpr std::string_view kMission = "01kaaaaaaaaaaaaaaaaaaaaaaa";

void require(bool holds) {
    if (!holds) std::abort();
}

SigningKey make_key() {
    std::string folder = std::filesystem::temp_directory_path() / "ledger-fuzz-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr);
    auto key = SigningKey::load_or_create(folder + "/key", folder + "/pub", folder + "/receipts");
    std::filesystem::remove_all(folder);
    require(key.has_value());
    return *std::move(key);
}

const SigningKey& signing_key() {
    static const SigningKey key = make_key();
    return key;
}

UniqueFd file_of(std::string_view bytes) {
    UniqueFd file(::memfd_create("ledger", MFD_CLOEXEC));
    require(file.is_open());
    require(::write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    return file;
}

Walk walk(std::string_view bytes) {
    const UniqueFd file = file_of(bytes);
    auto walked = walk_ledger(file.get(), kMission, signing_key().verifying_key());
    require(walked.has_value());
    require(walked->bytes + walked->torn_bytes <= bytes.size());
    return *std::move(walked);
}

/// A ledger that is being put together from somebody's records.
struct Chain {
    std::string text;
    std::uint64_t records = 0;
    wire::Digest head{};

    void add(std::int64_t unix_ms, LineRecord record) {
        if (auto* started = std::get_if<StartedLine>(&record)) started->key = signing_key().id();
        if (auto* signed_head = std::get_if<HeadSigned>(&record)) {
            signed_head->head_seq = records - 1;
            signed_head->head = head;
            signed_head->signature = to_base64(signing_key().sign(head_message(kMission, records - 1, head)));
        }
        std::string line;
        append_line(line, {records, unix_ms, kMission, head}, record);
        const auto read = parse_record(line);
        require(read.has_value());
        std::string again;
        append_line(again, {read->seq, read->unix_ms, read->mission, read->prev}, read->record);
        require(again == line);
        head = sha256(line);
        text += line + "\n";
        ++records;
    }
};

bool may_follow(const LineRecord& record, const Chain& chain, bool is_ended) {
    if (std::holds_alternative<StartedLine>(record) != (chain.records == 0)) return false;
    return !is_ended;
}

void fuzz_rebuilt(std::string_view bytes) {
    Chain chain;
    bool is_ended = false;
    while (!bytes.empty()) {
        const std::string_view line = bytes.substr(0, bytes.find('\n'));
        bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
        auto read = parse_record(line);
        if (!read || !may_follow(read->record, chain, is_ended)) continue;
        is_ended = std::holds_alternative<MissionEnded>(read->record);
        chain.add(read->unix_ms, std::move(read->record));
    }
    const Walk walked = walk(chain.text);
    require(!walked.bad && walked.records == chain.records && walked.head == chain.head);
    require(walked.is_ended == is_ended);
    Receipt receipt = walked.receipt.build();
    receipt.head = {walked.records, walked.head};
    static_cast<void>(render_receipt(receipt));
    const auto opened = open_envelope(seal_envelope(receipt, signing_key()), signing_key().verifying_key());
    require(opened.has_value() && opened->payload == wire::to_json(receipt));
    // A changed byte never passes for the same ledger.
    if (chain.text.size() < 2) return;
    std::string changed = chain.text;
    changed[changed.size() / 2] ^= 1;
    const Walk other = walk(changed);
    require(other.bad || other.torn_bytes > 0 || other.head != walked.head);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    static_cast<void>(walk(bytes));
    static_cast<void>(open_envelope(bytes, signing_key().verifying_key()));
    fuzz_rebuilt(bytes);
    return 0;
}
