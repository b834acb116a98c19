// SPDX-License-Identifier: Apache-2.0
#include "ledger/keys.hpp"
#include "tests/unit/ledger/ledger_fixture.hpp"

#include <filesystem>
#include <sys/stat.h>

namespace sanctum::ledger::test {
namespace {

Result<SigningKey> load(const Scratch& scratch) {
    return SigningKey::load_or_create(scratch.private_key(), scratch.public_key());
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

TEST(Keys, APublicKeyOfAnotherPairIsRefused) {
    const Scratch scratch;
    const Scratch other;
    ASSERT_TRUE(load(scratch));
    ASSERT_TRUE(load(other));
    std::filesystem::copy(other.public_key(), scratch.public_key(), std::filesystem::copy_options::overwrite_existing);

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
