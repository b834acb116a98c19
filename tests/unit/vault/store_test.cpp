// SPDX-License-Identifier: Apache-2.0
#include "base/digest.hpp"
#include "base/files.hpp"
#include "base/limits.hpp"
#include "tests/unit/vault/support.hpp"
#include "vault/store.hpp"
#include "vault/unlock.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sanctum::vault {
namespace {

using ::testing::HasSubstr;
using test::TemporaryFolder;

constexpr ArgonCost kCheapest{1, 8192};  // the library's minimum: these tests are not about the cost

NewStoreKeys keys_with(std::string_view passphrase) {
    NewStoreKeys keys;
    keys.passphrase = LockedBytes(passphrase);
    keys.cost = kCheapest;
    return keys;
}

Result<LockedBytes> open_by_passphrase(const std::string& path, std::string_view passphrase) {
    SANCTUM_TRY(const SealedBytes sealed, load_store(path));
    return open_passphrase_slot(sealed.header.id, sealed.header.slots.at(0), passphrase);
}

Status add_item(const std::string& path, const LockedBytes& key, const std::string& name, std::string_view value) {
    return change_store(path, key, [&](StoredItems& items) -> Result<Change> {
        items.insert_or_assign(name, StoredItem{1'795'313'172'001, "a note", LockedBytes(value)});
        return Change::Write;
    });
}

std::string bytes_of(const std::string& path) { return read_file(path, kStoreFileBytesMax).value(); }

TEST(Store, AValueThatWasAddedComesBack) {
    const TemporaryFolder folder;
    const std::string path = folder / "deeper/store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("correct horse")));
    const LockedBytes key = open_by_passphrase(path, "correct horse").value();
    const std::string value("token\0with\nbytes\xff", 17);

    ASSERT_TRUE(add_item(path, key, "team", value));

    const StoredItems items = open_store(load_store(path).value(), key).value();
    ASSERT_EQ(items.size(), 1U);
    EXPECT_EQ(items.at("team").value.reveal(), value);
    EXPECT_EQ(items.at("team").note, "a note");
    EXPECT_EQ(items.at("team").created_unix_ms, 1'795'313'172'001);
}

TEST(Store, TheFileShowsNeitherValueNorNameNorNote) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    ASSERT_TRUE(add_item(path, open_by_passphrase(path, "p").value(), "github-token", "ghp_canary_value"));

    const std::string bytes = bytes_of(path);

    EXPECT_EQ(bytes.find("ghp_canary_value"), std::string::npos);
    EXPECT_EQ(bytes.find("github-token"), std::string::npos);
    EXPECT_EQ(bytes.find("a note"), std::string::npos);
}

TEST(Store, AnotherPassphraseDoesNotOpenItAndIsToldApartFromDamage) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("right")));

    const Result<LockedBytes> wrong = open_by_passphrase(path, "wrong");

    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().code, Errc::Denied);
    EXPECT_TRUE(open_by_passphrase(path, "right"));
}

TEST(Store, EveryFlippedByteIsDetected) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    const LockedBytes key = open_by_passphrase(path, "p").value();
    ASSERT_TRUE(add_item(path, key, "team", "secret"));
    const std::string good = bytes_of(path);
    ASSERT_TRUE(open_store(parse_store(good).value(), key));

    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 0x01);
        const Result<SealedBytes> sealed = parse_store(bad);
        if (!sealed) continue;
        EXPECT_FALSE(open_store(*sealed, key)) << "byte " << i;
    }
}

TEST(Store, EveryShortenedFileIsDetected) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    const LockedBytes key = open_by_passphrase(path, "p").value();
    const std::string good = bytes_of(path);

    for (std::size_t size = 0; size < good.size(); ++size) {
        const Result<SealedBytes> sealed = parse_store(good.substr(0, size));
        EXPECT_FALSE(sealed && open_store(*sealed, key)) << "cut at " << size;
    }
    EXPECT_TRUE(open_store(parse_store(good).value(), key));
}

// A forged slot with a right hash must not take the store over: the items are bound to the header.
TEST(Store, ASlotThatWasAddedByAnotherHandDoesNotOpenTheItems) {
    const LockedBytes data_key = make_key();
    const LockedBytes other_key = make_key();
    StoreHeader header;
    header.id = "00112233445566778899aabbccddeeff";
    header.slots = {make_key_slot(header.id, data_key, make_key())};
    const std::string good = seal_store(header, {}, data_key).value();
    StoreHeader forged = header;
    forged.slots.push_back(make_key_slot(header.id, data_key, other_key));
    const std::string with_forged_header = seal_store(forged, {}, other_key).value();
    SealedBytes mixed = parse_store(good).value();
    mixed.prefix = parse_store(with_forged_header).value().prefix;

    EXPECT_FALSE(open_store(mixed, data_key));
    EXPECT_TRUE(open_store(parse_store(good).value(), data_key));
}

TEST(Store, ASlotOfAnotherStoreDoesNotOpenThisOne) {
    const LockedBytes data_key = make_key();
    const LockedBytes key = make_key();
    const KeySlot slot = make_key_slot("aa", data_key, key);

    EXPECT_FALSE(open_key_slot("bb", slot, key));
    EXPECT_TRUE(open_key_slot("aa", slot, key));
}

TEST(Store, ANewerVersionIsRefusedWithASentence) {
    StoreHeader header;
    header.id = "aa";
    const LockedBytes data_key = make_key();
    header.slots = {make_key_slot(header.id, data_key, make_key())};
    std::string bytes = seal_store(header, {}, data_key).value();
    // Version 2 with a hash that is right for it: what a later Sanctum would write.
    const std::size_t hashed = bytes.size() - 24 - 16 - 8 - 32;
    bytes[8] = 2;
    const Digest digest = sha256(bytes.substr(0, hashed));
    bytes.replace(hashed, 32, reinterpret_cast<const char*>(digest.data()), digest.size());

    const Result<SealedBytes> sealed = parse_store(bytes);

    ASSERT_FALSE(sealed);
    EXPECT_EQ(sealed.error().code, Errc::Unsupported);
    EXPECT_THAT(sealed.error().what, HasSubstr("version 2"));
}

TEST(Store, AForgedCostOfArgonIsRefusedBeforeItIsPaid) {
    const LockedBytes data_key = make_key();
    KeySlot slot = make_passphrase_slot("aa", data_key, "p", kCheapest).value();
    slot.memory_bytes = kArgonMemoryBytesMax * 4;

    const Result<LockedBytes> opened = open_passphrase_slot("aa", slot, "p");

    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Errc::Protocol);
}

TEST(Store, AnExistingStoreIsNeverReplacedByANewOne) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    const std::string before = bytes_of(path);

    const Status again = create_store(path, keys_with("q"));

    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Errc::Denied);
    EXPECT_EQ(bytes_of(path), before);
}

TEST(Store, ADamagedFileIsNamedWithARemedyAndLeftAsItIs) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    std::ofstream(path) << "not a store";
    ::chmod(path.c_str(), 0600);

    const Status changed = add_item(path, make_key(), "team", "v");

    ASSERT_FALSE(changed);
    EXPECT_EQ(changed.error().code, Errc::Protocol);
    EXPECT_THAT(changed.error().what, HasSubstr(path));
    EXPECT_THAT(changed.error().what, HasSubstr("put a copy back"));
    EXPECT_EQ(bytes_of(path), "not a store");
}

TEST(Store, AMissingStoreSaysHowToMakeOne) {
    const Result<SealedBytes> sealed = load_store("/nonexistent/store.sealed");
    ASSERT_FALSE(sealed);
    EXPECT_EQ(sealed.error().code, Errc::NotFound);
    EXPECT_THAT(sealed.error().what, HasSubstr("sanctum vault init"));
}

TEST(Store, AStoreThatOthersMayWriteIsRefused) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    ASSERT_TRUE(load_store(path));
    ::chmod(path.c_str(), 0620);

    const Result<SealedBytes> sealed = load_store(path);

    ASSERT_FALSE(sealed);
    EXPECT_EQ(sealed.error().code, Errc::Unsupported);
}

// Killed at the worst moment: the new file is written and not yet renamed.
TEST(Store, ACrashDuringAWriteLeavesTheOldStoreWhole) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    const LockedBytes key = open_by_passphrase(path, "p").value();
    ASSERT_TRUE(add_item(path, key, "old", "value"));
    const std::string before = bytes_of(path);

    const pid_t writer = ::fork();
    if (writer == 0) {
        static_cast<void>(change_store(path, key, [&](StoredItems&) -> Result<Change> {
            std::ofstream(path + ".new-half") << "half of a st";
            ::raise(SIGKILL);
            return Change::Write;
        }));
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(writer, &status, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(status));

    EXPECT_EQ(bytes_of(path), before);
    EXPECT_TRUE(add_item(path, key, "new", "value")) << "the dead writer's lock must be gone";
}

TEST(Store, TwoWritersAtOnceLoseNothing) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    const LockedBytes key = open_by_passphrase(path, "p").value();
    constexpr int kWriters = 4;
    constexpr int kItems = 5;

    for (int writer = 0; writer < kWriters; ++writer) {
        if (::fork() != 0) continue;
        bool is_good = true;
        for (int item = 0; item < kItems; ++item) {
            const std::string name = "w" + std::to_string(writer) + "-" + std::to_string(item);
            is_good = add_item(path, key, name, "v").has_value() && is_good;
        }
        ::_exit(is_good ? 0 : 1);
    }
    for (int writer = 0; writer < kWriters; ++writer) {
        int status = 0;
        ASSERT_GT(::wait(&status), 0);
        EXPECT_EQ(status, 0);
    }

    EXPECT_EQ(open_store(load_store(path).value(), key).value().size(), static_cast<std::size_t>(kWriters * kItems));
}

TEST(ItemName, LettersDigitsAndAFewSignsAreNamesAndNothingElseIs) {
    for (const char* good : {"a", "github-token", "team/alice", "me@example.com", "A.b_9"}) {
        EXPECT_TRUE(is_item_name(good)) << good;
    }
    for (const char* bad : {"", "-a", "/a", "a b", "a\n", "ä", "a\"", ".hidden"}) {
        EXPECT_FALSE(is_item_name(bad)) << bad;
    }
    EXPECT_TRUE(is_item_name(std::string(kStoreNameBytesMax, 'a')));
    EXPECT_FALSE(is_item_name(std::string(kStoreNameBytesMax + 1, 'a')));
}

TEST(KeyFile, ItOpensTheStoreItWasMadeForAndNoOther) {
    const TemporaryFolder folder;
    NewStoreKeys keys;
    keys.key = create_key_file(folder / "store.key").value();
    ASSERT_TRUE(create_store(folder / "store.sealed", keys));
    ASSERT_TRUE(create_key_file(folder / "other.key"));
    const SealedBytes sealed = load_store(folder / "store.sealed").value();

    EXPECT_TRUE(unlock_store(sealed, folder / "store.sealed", {"key-file:" + (folder / "store.key"), -1, -1, {}}));
    const Result<LockedBytes> other =
        unlock_store(sealed, folder / "store.sealed", {"key-file:" + (folder / "other.key"), -1, -1, {}});
    ASSERT_FALSE(other);
    EXPECT_EQ(other.error().code, Errc::Denied);
}

TEST(KeyFile, OneThatOthersMayReadIsRefused) {
    const TemporaryFolder folder;
    ASSERT_TRUE(create_key_file(folder / "key"));
    ASSERT_TRUE(load_key_file(folder / "key"));
    ::chmod((folder / "key").c_str(), 0640);

    const Result<LockedBytes> key = load_key_file(folder / "key");

    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::Unsupported);
    EXPECT_THAT(key.error().what, HasSubstr("chmod 600"));
}

TEST(KeyFile, OneOfAnotherLengthIsRefused) {
    const TemporaryFolder folder;
    for (const std::size_t size : {std::size_t{0}, std::size_t{31}, std::size_t{33}, std::size_t{4096}}) {
        ASSERT_TRUE(write_file_atomically(folder / "key", std::string(size, 'k'), 0600));
        EXPECT_FALSE(load_key_file(folder / "key")) << size;
    }
    ASSERT_TRUE(write_file_atomically(folder / "key", std::string(32, 'k'), 0600));
    EXPECT_TRUE(load_key_file(folder / "key"));
}

TEST(Unlock, WithoutATerminalAPassphraseStoreIsLockedWithARemedy) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));
    const SealedBytes sealed = load_store(path).value();

    for (const char* spec : {"", "passphrase", "keyring"}) {
        const Result<LockedBytes> key = unlock_store(sealed, path, {spec, -1, -1, {}});
        ASSERT_FALSE(key) << spec;
        EXPECT_EQ(key.error().code, Errc::NotPermitted) << spec;
        EXPECT_THAT(key.error().what, HasSubstr("sanctum vault unlock"));
    }
}

TEST(Unlock, AnUnknownWordIsAMistakeInTheConfiguration) {
    const TemporaryFolder folder;
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys_with("p")));

    const Result<LockedBytes> key = unlock_store(load_store(path).value(), path, {"tpm", -1, -1, {}});

    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::InvalidProfile);
}

TEST(Unlock, ASystemdCredentialOpensTheStoreAndALeavingNameDoesNot) {
    const TemporaryFolder folder;
    NewStoreKeys keys;
    keys.key = create_key_file(folder / "store.key").value();
    const std::string path = folder / "store.sealed";
    ASSERT_TRUE(create_store(path, keys));
    const SealedBytes sealed = load_store(path).value();

    EXPECT_TRUE(unlock_store(sealed, path, {"credential:store.key", -1, -1, folder.path()}));
    EXPECT_FALSE(unlock_store(sealed, path, {"credential:../store.key", -1, -1, folder.path()}));
    const Result<LockedBytes> outside_a_unit = unlock_store(sealed, path, {"credential:store.key", -1, -1, {}});
    ASSERT_FALSE(outside_a_unit);
    EXPECT_EQ(outside_a_unit.error().code, Errc::NotPermitted);
}

}  // namespace
}  // namespace sanctum::vault
