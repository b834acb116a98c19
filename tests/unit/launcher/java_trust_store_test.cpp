// SPDX-License-Identifier: Apache-2.0
// The trust store of Java run times, read back by a reader of its own. That real JVMs accept it is shown end to end.
#include "launcher/confine/java_trust_store.hpp"

#include <gtest/gtest.h>
#include <openssl/sha.h>

namespace sanctum::launcher {
namespace {

// "certificate one" and "number two!" in base64: the store does not look into them.
const std::string kOne = "-----BEGIN CERTIFICATE-----\nY2VydGlm\naWNhdGUgb25l\n-----END CERTIFICATE-----\n";
const std::string kTwo = "-----BEGIN CERTIFICATE-----\r\nbnVtYmVyIHR3byE=\r\n-----END CERTIFICATE-----\r\n";

/// What a reader of the format sees; `rest` is the digest.
struct Store {
    std::uint64_t magic = 0, version = 0;
    std::vector<std::pair<std::string, std::string>> entries;  ///< alias, bytes
    std::string rest;
};

class Reader {
public:
    explicit Reader(std::string_view bytes) : bytes_(bytes) {}
    std::uint64_t number(std::size_t size) {
        std::uint64_t value = 0;
        for (const char c : text(size)) value = (value << 8U) | static_cast<unsigned char>(c);
        return value;
    }
    std::string text(std::size_t size) {
        const std::string taken(bytes_.substr(0, size));
        bytes_.remove_prefix(taken.size());
        return taken;
    }
    std::string rest() const { return std::string(bytes_); }

private:
    std::string_view bytes_;
};

Store read_store(const std::string& bytes) {
    Reader reader(bytes);
    Store store;
    store.magic = reader.number(4);
    store.version = reader.number(4);
    const std::uint64_t count = reader.number(4);
    for (std::uint64_t at = 0; at < count; ++at) {
        EXPECT_EQ(reader.number(4), 2U) << "a trusted certificate";
        const std::string alias = reader.text(reader.number(2));
        EXPECT_EQ(reader.number(8), 0U) << "no date";
        EXPECT_EQ(reader.text(reader.number(2)), "X.509");
        store.entries.emplace_back(alias, reader.text(reader.number(4)));
    }
    store.rest = reader.rest();
    return store;
}

TEST(JavaTrustStore, HoldsEveryCertificateOfTheBundle) {
    const auto made = make_java_trust_store("# a comment\n" + kOne + "text between\n" + kTwo);

    ASSERT_TRUE(made.has_value()) << made.error().what;
    const Store store = read_store(*made);
    EXPECT_EQ(store.magic, 0xfeedfeedU);
    EXPECT_EQ(store.version, 2U);
    const std::vector<std::pair<std::string, std::string>> wanted{{"root-1", "certificate one"},
                                                                  {"root-2", "number two!"}};
    EXPECT_EQ(store.entries, wanted);
}

TEST(JavaTrustStore, EndsWithTheDigestThatThePasswordChangeitGives) {
    const auto made = make_java_trust_store(kOne);

    ASSERT_TRUE(made.has_value());
    const std::string body = made->substr(0, made->size() - SHA_DIGEST_LENGTH);
    const std::string input = std::string("\0c\0h\0a\0n\0g\0e\0i\0t", 16) + "Mighty Aphrodite" + body;
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1(reinterpret_cast<const unsigned char*>(input.data()), input.size(), digest);
    EXPECT_EQ(made->substr(body.size()), std::string(reinterpret_cast<char*>(digest), sizeof digest));
}

TEST(JavaTrustStore, AnEmptyBundleIsAStoreThatTrustsNobody) {
    const auto made = make_java_trust_store("");

    ASSERT_TRUE(made.has_value());
    EXPECT_TRUE(read_store(*made).entries.empty());
}

TEST(JavaTrustStore, ADamagedBundleIsRefusedAsAWhole) {
    const std::string begin = "-----BEGIN CERTIFICATE-----\n", end = "-----END CERTIFICATE-----\n";
    for (const std::string& broken : {kOne + begin + "YWJj\n", kOne + begin + "*!*\n" + end, begin + end}) {
        SCOPED_TRACE(broken);
        EXPECT_FALSE(make_java_trust_store(broken).has_value());
    }
}

}  // namespace
}  // namespace sanctum::launcher
