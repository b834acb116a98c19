// SPDX-License-Identifier: Apache-2.0
#include "network/stapled_status.hpp"

#include <openssl/ocsp.h>
#include <openssl/ssl.h>

#include <memory>

namespace sanctum::network {
namespace {

constexpr int kAccept = 1;
constexpr int kRefuse = 0;

int refuse(SSL* ssl, long reason) {
    SSL_set_verify_result(ssl, reason);
    return kRefuse;
}

template <class T, void (*Free)(T*)>
struct Deleter {
    void operator()(T* object) const { Free(object); }
};
using ResponsePtr = std::unique_ptr<OCSP_RESPONSE, Deleter<OCSP_RESPONSE, &OCSP_RESPONSE_free>>;
using BasicPtr = std::unique_ptr<OCSP_BASICRESP, Deleter<OCSP_BASICRESP, &OCSP_BASICRESP_free>>;
using CertIdPtr = std::unique_ptr<OCSP_CERTID, Deleter<OCSP_CERTID, &OCSP_CERTID_free>>;

BasicPtr read_response(const unsigned char* bytes, long size) {
    const ResponsePtr response(d2i_OCSP_RESPONSE(nullptr, &bytes, size));
    if (!response || OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) return nullptr;
    return BasicPtr(OCSP_response_get1_basic(response.get()));
}

int judge(SSL* ssl, OCSP_BASICRESP* basic, X509* leaf, X509* issuer) {
    const CertIdPtr id(OCSP_cert_to_id(nullptr, leaf, issuer));
    int status = V_OCSP_CERTSTATUS_UNKNOWN;
    int reason = 0;
    // Its age is not asked: a revocation stays one, and "good" adds nothing to the chain that has been verified.
    if (!id || OCSP_resp_find_status(basic, id.get(), &status, &reason, nullptr, nullptr, nullptr) != 1) return kAccept;
    return status == V_OCSP_CERTSTATUS_REVOKED ? refuse(ssl, X509_V_ERR_CERT_REVOKED) : kAccept;
}

}  // namespace

int check_stapled_status(SSL* ssl, void*) {
    const unsigned char* bytes = nullptr;
    const long size = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
    if (bytes == nullptr || size <= 0) return kAccept;
    const BasicPtr basic = read_response(bytes, size);
    if (!basic) return refuse(ssl, X509_V_ERR_OCSP_VERIFY_FAILED);

    STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl);
    if (chain == nullptr || sk_X509_num(chain) < 2) return kAccept;
    X509_STORE* const store = SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl));
    if (OCSP_basic_verify(basic.get(), chain, store, 0) != 1) return refuse(ssl, X509_V_ERR_OCSP_VERIFY_FAILED);
    return judge(ssl, basic.get(), sk_X509_value(chain, 0), sk_X509_value(chain, 1));
}

}  // namespace sanctum::network
