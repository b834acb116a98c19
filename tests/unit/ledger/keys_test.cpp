// SPDX-License-Identifier: Apache-2.0
#include "base/files.hpp"
#include "ledger/keys.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <cerrno>
#include <filesystem>
#include <sys/stat.h>

namespace sanctum::ledger::test {
namespace {

Result<SigningKey> load(const Scratch& scratch) {
    return SigningKey::load_or_create(scratch.private_key(), scratch.public_key(), scratch.receipts());
}

TEST(Keys, ThePairIsMadeOnceAndFoundAgain) {
    const Scratch scratch;

    const Result<SigningKey> first = load(scratch);
    const Result<SigningKey> second = load(scratch);

    ASSERT_TRUE(first);
    ASSERT_TRUE(second);
    EXPECT_EQ(first->id(), second->id());
    EXPECT_EQ(first->id(), scratch.verifying_key().id());
    EXPECT_EQ(first->id().size(), std::string("ed25519:").size() + 16);
    struct stat status {};
    ASSERT_EQ(::stat(scratch.private_key().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(Keys, ASignatureHoldsForItsMessageOnly) {
    const Scratch scratch;
    const Result<SigningKey> key = load(scratch);
    const std::string signature = key->sign("message");

    const VerifyingKey verifying = scratch.verifying_key();

    EXPECT_TRUE(verifying.verify("message", signature));
    EXPECT_TRUE(key->verifying_key().verify("message", signature));
    EXPECT_FALSE(verifying.verify("massage", signature));
    EXPECT_FALSE(verifying.verify("message", signature.substr(1)));
    EXPECT_FALSE(verifying.verify("message", std::string(64, '\0')));
}

TEST(Keys, APrivateKeyThatOthersCanReadIsRefused) {
    const Scratch scratch;
    ASSERT_TRUE(load(scratch));
    ::chmod(scratch.private_key().c_str(), 0640);

    const Result<SigningKey> key = load(scratch);

    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::NotPermitted);
    EXPECT_NE(key.error().what.find("chmod 600"), std::string::npos);
}

TEST(Keys, HalfAPairIsAnErrorThatNamesTheOtherHalf) {
    const Scratch scratch;
    ASSERT_TRUE(load(scratch));
    std::filesystem::remove(scratch.private_key());

    const Result<SigningKey> key = load(scratch);

    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::Protocol);
    EXPECT_NE(key.error().what.find(scratch.private_key()), std::string::npos);
}

TEST(Keys, WhereReceiptsWereSignedWithALostPairNoOtherIsMade) {
    const Scratch scratch;
    write(scratch.receipts(), "");
    ASSERT_TRUE(load(scratch)) << "an empty chain needs no key";
    std::filesystem::remove_all(std::filesystem::path(scratch.private_key()).parent_path());
    write(scratch.receipts(), "{}\n");

    const Result<SigningKey> key = load(scratch);

    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().code, Errc::Protocol);
    for (const std::string& named : {scratch.private_key(), scratch.public_key(), scratch.receipts()}) {
        EXPECT_NE(key.error().what.find(named), std::string::npos) << key.error().what;
    }
    EXPECT_FALSE(std::filesystem::exists(scratch.private_key()));
    EXPECT_FALSE(std::filesystem::exists(scratch.public_key()));
    std::filesystem::remove(scratch.receipts());
    EXPECT_TRUE(load(scratch)) << "nothing is left that the lost pair signed";
}

TEST(Keys, WhereAnythingElseWasSignedWithALostPairNoOtherIsMade) {
    for (const char* name : {"pruned.jsonl", "missions/01kmission/ledger.jsonl"}) {
        const Scratch scratch;
        const std::filesystem::path state = std::filesystem::path(scratch.receipts()).parent_path();
        std::filesystem::create_directories((state / name).parent_path());
        write((state / name).string(), "");
        ASSERT_TRUE(load(scratch)) << "an empty " << name << " needs no key";
        std::filesystem::remove(scratch.private_key());
        std::filesystem::remove(scratch.public_key());
        write((state / name).string(), "{}\n");

        const Result<SigningKey> key = load(scratch);

        ASSERT_FALSE(key) << name;
        EXPECT_EQ(key.error().code, Errc::Protocol);
        EXPECT_NE(key.error().what.find((state / name).string()), std::string::npos) << key.error().what;
        EXPECT_FALSE(std::filesystem::exists(scratch.private_key()));
        std::filesystem::remove(state / name);
        EXPECT_TRUE(load(scratch)) << "a mission's folder without a ledger is no record";
    }
}

TEST(Keys, APlaceThatCannotBeLookedAtIsNotMissing) {
    const Scratch scratch;
    const std::string state = std::filesystem::path(scratch.receipts()).parent_path().string();
    write(state + "/file", "");

    const Status not_a_folder = check_pair_is_not_lost(state + "/file/key", scratch.public_key(), scratch.receipts());
    const Status missing = check_pair_is_not_lost(state + "/none/key", scratch.public_key(), scratch.receipts());

    ASSERT_FALSE(not_a_folder);
    EXPECT_EQ(not_a_folder.error().sys_errno, ENOTDIR);
    EXPECT_NE(not_a_folder.error().what.find(state + "/file/key"), std::string::npos);
    EXPECT_TRUE(missing);
    std::filesystem::create_symlink("receipts.jsonl", scratch.receipts());
    const Result<SigningKey> key = load(scratch);
    ASSERT_FALSE(key);
    EXPECT_EQ(key.error().sys_errno, ELOOP);
    EXPECT_FALSE(std::filesystem::exists(scratch.private_key()));
}

TEST(Keys, APublicKeyOfAnotherPairIsRefused) {
    const Scratch scratch;
    const Scratch other;
    ASSERT_TRUE(load(scratch));
    ASSERT_TRUE(load(other));
    std::filesystem::copy(other.public_key(), scratch.public_key(), std::filesystem::copy_options::overwrite_existing);

    EXPECT_FALSE(load(scratch));
}

TEST(Keys, APairInAnotherFormOfPemIsTheSamePair) {
    const Scratch scratch;
    const Result<SigningKey> made = load(scratch);
    ASSERT_TRUE(made);
    for (const std::string& path : {scratch.private_key(), scratch.public_key()}) {
        std::string pem = *read_file(path, 4096);
        pem.insert(pem.find('\n') + 33, "\n");
        write(path, pem);
    }
    ::chmod(scratch.private_key().c_str(), 0600);

    const Result<SigningKey> found = load(scratch);

    ASSERT_TRUE(found) << found.error().what;
    EXPECT_EQ(found->id(), made->id());
    EXPECT_TRUE(made->verifying_key().verify("message", found->sign("message")));
}

TEST(Keys, APrivateKeyOfAnotherAlgorithmIsRefused) {
    const Scratch scratch;
    ASSERT_TRUE(load(scratch));
    std::string pem = *read_file(scratch.private_key(), 4096);
    const std::size_t at = pem.find("K2Vw");  // of 1.3.101.112; one further is Ed448
    ASSERT_NE(at, std::string::npos);
    pem.replace(at, 4, "K2Vx");
    write(scratch.private_key(), pem);
    ::chmod(scratch.private_key().c_str(), 0600);

    EXPECT_FALSE(load(scratch));
}

TEST(Keys, WhatIsNoEd25519KeyIsRefused) {
    const Scratch scratch;
    ASSERT_TRUE(load(scratch));
    for (const char* text : {"", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "ed25519 AAAA"}) {
        write(scratch.public_key(), text);
        EXPECT_FALSE(VerifyingKey::load(scratch.public_key())) << text;
    }
}

}  // namespace
}  // namespace sanctum::ledger::test
