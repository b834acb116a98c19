// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/vault/provider_script.hpp"

#include <memory>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>

namespace sanctum::vault::test {
namespace {

std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out.push_back(text[i]);
            continue;
        }
        out.push_back(static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
        i += 2;
    }
    return out;
}

std::string base64url_decoded(std::string_view text) {
    std::string out(text.size(), '\0');
    std::size_t size = 0;
    SANCTUM_ASSERT(::sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                                       text.size(), nullptr, &size, nullptr,
                                       sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0);
    out.resize(size);
    return out;
}

std::string part_of(const std::string& jwt, int wanted) {
    std::size_t begin = 0;
    for (int i = 0; i < wanted; ++i) begin = jwt.find('.', begin) + 1;
    return base64url_decoded(std::string_view(jwt).substr(begin, jwt.find('.', begin) - begin));
}

std::string to_pem(EVP_PKEY* key) {
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> owned(key, ::EVP_PKEY_free);
    const std::unique_ptr<BIO, void (*)(BIO*)> out(::BIO_new(::BIO_s_mem()), ::BIO_free_all);
    ::PEM_write_bio_PrivateKey(out.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(out.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

// RFC 7518 3.4: r and s, 32 bytes each, become the DER that OpenSSL reads.
std::string to_der(const std::string& signature) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
    const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> pair(::ECDSA_SIG_new(), ::ECDSA_SIG_free);
    ::ECDSA_SIG_set0(pair.get(), ::BN_bin2bn(bytes, 32, nullptr), ::BN_bin2bn(bytes + 32, 32, nullptr));
    unsigned char* der = nullptr;
    const int size = ::i2d_ECDSA_SIG(pair.get(), &der);
    std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    ::OPENSSL_free(der);
    return out;
}

}  // namespace

std::string SeenRequest::parameter(const std::string& name) const {
    std::size_t begin = 0;
    while (begin < body.size()) {
        const std::size_t end = std::min(body.find('&', begin), body.size());
        const std::string pair = body.substr(begin, end - begin);
        const std::size_t equals = pair.find('=');
        if (percent_decoded(pair.substr(0, equals)) == name) return percent_decoded(pair.substr(equals + 1));
        begin = end + 1;
    }
    return "(absent)";
}

void ProviderScript::send(HttpRequest request, Completion<Result<HttpResponse>> done) {
    seen.push_back({request.method,
                    request.url,
                    std::string(request.authorization.reveal()),
                    std::string(request.body.reveal()),
                    request.repeat,
                    {request.headers.begin(), request.headers.end()},
                    request.certificate != nullptr ? request.certificate->certificate : ""});
    SANCTUM_ASSERT(!answers_.empty());
    Result<HttpResponse> answer = std::move(answers_.front());
    answers_.pop_front();
    done(std::move(answer));
}

void ProviderScript::will_answer(int status, std::string body, std::map<std::string, std::string> headers,
                                 Milliseconds clock_offset) {
    HttpResponse response;
    response.status = status;
    response.headers = std::move(headers);
    response.headers.emplace("content-type", "application/json");
    response.body = Secret(body);
    response.clock_offset = clock_offset;
    answers_.emplace_back(std::move(response));
}

void HeldAnswers::answer(int status, std::string body) {
    SANCTUM_ASSERT(!asked_.empty());
    const Completion<Result<HttpResponse>> told = std::move(asked_.front());
    asked_.pop_front();
    HttpResponse response;
    response.status = status;
    response.headers.emplace("content-type", "application/json");
    response.body = Secret(body);
    told(std::move(response));
}

std::string claims_of(const std::string& jwt) { return part_of(jwt, 1); }
std::string header_of(const std::string& jwt) { return part_of(jwt, 0); }

bool is_signed_by(const std::string& jwt, const std::string& pem) {
    const std::size_t last = jwt.rfind('.');
    const std::string text = jwt.substr(0, last);
    std::string signature = part_of(jwt, 2);
    const std::unique_ptr<BIO, void (*)(BIO*)> in(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                  ::BIO_free_all);
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        ::PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), ::EVP_PKEY_free);
    if (EVP_PKEY_is_a(key.get(), "EC") == 1) signature = to_der(signature);
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(::EVP_MD_CTX_new(), ::EVP_MD_CTX_free);
    ::EVP_DigestVerifyInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key.get());
    return ::EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                              reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
}

std::string make_rsa_key(int bits) { return to_pem(EVP_RSA_gen(static_cast<unsigned>(bits))); }
std::string make_ec_key(const char* curve) { return to_pem(EVP_EC_gen(curve)); }

}  // namespace sanctum::vault::test
