// SPDX-License-Identifier: Apache-2.0
// A certificate status that a server stapled, judged on a real verified connection: no crash; what the issuer did not
// sign is refused, and of what it did sign, exactly the revocation of this certificate. What stands in the bytes is
// signed anew with the issuer's key, so that the judgement is reached too.
#include "network/stapled_status.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

// The keys are fixed, so that a seed names the same certificate in each run.
EVP_PKEY* key_of(unsigned char byte) {
    std::array<unsigned char, 32> seed{};
    seed.fill(byte);
    EVP_PKEY* const key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size());
    require(key != nullptr);
    return key;
}

X509* certificate_of(const char* name, long serial, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key) {
    X509* const made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial);
    X509_gmtime_adj(X509_getm_notBefore(made), -3600);
    X509_gmtime_adj(X509_getm_notAfter(made), 365L * 24 * 3600);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    X509_set_issuer_name(made, X509_get_subject_name(issuer == nullptr ? made : issuer));
    if (issuer == nullptr) {
        X509_EXTENSION* const is_ca = X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
        X509_add_ext(made, is_ca, -1);
        X509_EXTENSION_free(is_ca);
    }
    require(X509_sign(made, issuer_key, nullptr) > 0);
    return made;
}

/// A client whose connection to its server has just been verified. It lives as long as the program.
struct Connection {
    EVP_PKEY* ca_key = key_of(1);
    EVP_PKEY* leaf_key = key_of(2);
    X509* ca = certificate_of("Issuer", 1, ca_key, nullptr, ca_key);
    X509* leaf = certificate_of("api.example.test", 2, leaf_key, ca, ca_key);
    SSL* client = nullptr;
    SSL* server = nullptr;

    Connection() {
        SSL_CTX* const server_context = SSL_CTX_new(TLS_server_method());
        require(SSL_CTX_use_certificate(server_context, leaf) == 1);
        require(SSL_CTX_use_PrivateKey(server_context, leaf_key) == 1);
        SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        client = SSL_new(context);
        server = SSL_new(server_context);
        BIO* one = nullptr;
        BIO* other = nullptr;
        require(BIO_new_bio_pair(&one, 0, &other, 0) == 1);
        SSL_set_bio(client, one, one);
        SSL_set_bio(server, other, other);
        SSL_set_connect_state(client);
        SSL_set_accept_state(server);
        for (int turn = 0; turn < 10; ++turn) {
            SSL_do_handshake(client);
            SSL_do_handshake(server);
        }
        require(SSL_is_init_finished(client) == 1 && sk_X509_num(SSL_get0_verified_chain(client)) == 2);
    }

    static const Connection& instance() {
        static const Connection& connection = *new Connection;
        return connection;
    }
};

// The verify result that the status leads to; X509_V_OK: accepted.
long judge(std::string_view staple) {
    SSL* const client = Connection::instance().client;
    SSL_set_verify_result(client, X509_V_OK);
    void* const copy = OPENSSL_memdup(staple.data(), staple.size());
    SSL_set_tlsext_status_ocsp_resp(client, copy, static_cast<long>(staple.size()));
    const int answer = sanctum::network::check_stapled_status(client, nullptr);
    ERR_clear_error();
    const long result = SSL_get_verify_result(client);
    require(answer == 0 || answer == 1);
    require((answer == 1) == (result == X509_V_OK));
    return result;
}

std::string bytes_of(OCSP_RESPONSE* response) {
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &bytes);
    require(size > 0);
    std::string text(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    return text;
}

// Whether any statement about the certificate is that it is revoked; the first one counts.
bool is_revoked(OCSP_BASICRESP* basic) {
    const Connection& connection = Connection::instance();
    OCSP_CERTID* const id = OCSP_cert_to_id(nullptr, connection.leaf, connection.ca);
    const int at = OCSP_resp_find(basic, id, -1);
    OCSP_CERTID_free(id);
    return at >= 0 && OCSP_single_get0_status(OCSP_resp_get0(basic, at), nullptr, nullptr, nullptr, nullptr) ==
                          V_OCSP_CERTSTATUS_REVOKED;
}

// One value in DER (X.690 8.1): a tag, the length, the content.
std::string der(char tag, std::string_view content) {
    std::string out(1, tag);
    const std::size_t size = content.size();
    if (size < 0x80) {
        out += static_cast<char>(size);
    } else {
        out += '\x83';
        for (const int shift : {16, 8, 0}) out += static_cast<char>(size >> shift & 0xffU);
    }
    return out.append(content);
}

// The statements of `basic` as a response whose signature is the issuer's (RFC 6960 4.2.1, RFC 8410 3). OpenSSL's own
// function for it writes the signer's name over what stands there, whichever kind that is.
std::string signed_anew(const OCSP_BASICRESP* basic) {
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPDATA(const_cast<OCSP_RESPDATA*>(OCSP_resp_get0_respdata(basic)), &bytes);
    if (size <= 0) return {};
    const std::string data(reinterpret_cast<char*>(bytes), static_cast<std::size_t>(size));
    OPENSSL_free(bytes);
    std::array<unsigned char, 64> signature{};
    std::size_t signature_size = signature.size();
    EVP_MD_CTX* const signing = EVP_MD_CTX_new();
    require(EVP_DigestSignInit(signing, nullptr, nullptr, nullptr, Connection::instance().ca_key) == 1);
    require(EVP_DigestSign(signing, signature.data(), &signature_size,
                           reinterpret_cast<const unsigned char*>(data.data()), data.size()) == 1);
    EVP_MD_CTX_free(signing);
    const std::string bits(reinterpret_cast<const char*>(signature.data()), signature_size);
    const std::string algorithm("\x30\x05\x06\x03\x2b\x65\x70", 7);
    return der('\x30', data + algorithm + der('\x03', std::string(1, '\0') + bits));
}

void fuzz_signed_anew(const OCSP_BASICRESP* parsed) {
    const std::string bytes = signed_anew(parsed);
    const auto* at = reinterpret_cast<const unsigned char*>(bytes.data());
    OCSP_BASICRESP* const basic = d2i_OCSP_BASICRESP(nullptr, &at, static_cast<long>(bytes.size()));
    if (basic == nullptr) return;
    OCSP_RESPONSE* const response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    require(response != nullptr);
    const long result = judge(bytes_of(response));
    // Who else is named as the signer did not sign it.
    const bool is_by_issuer = result != X509_V_ERR_OCSP_VERIFY_FAILED;
    require((result == X509_V_ERR_CERT_REVOKED) == (is_by_issuer && is_revoked(basic)));
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    // No seed has a signature that is the issuer's.
    require(size == 0 || judge(bytes) != X509_V_OK);
    const unsigned char* at = data;
    OCSP_RESPONSE* const response = d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(size));
    if (response == nullptr) return 0;
    if (OCSP_BASICRESP* const basic = OCSP_response_get1_basic(response)) {
        fuzz_signed_anew(basic);
        OCSP_BASICRESP_free(basic);
    }
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return 0;
}
