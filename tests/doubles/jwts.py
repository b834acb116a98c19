# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens for the doubles and their checks: RS256, RS384, PS256 and ES256."""

import base64
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

DIGESTS = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "PS256": hashes.SHA256(),
           "ES256": hashes.SHA256()}


def to_text(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def to_bytes(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _padding(alg):
    if alg.startswith("PS"):
        return padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    return padding.PKCS1v15()


def sign(claims, key, alg="RS256", **header):
    parts = [to_text(json.dumps(part).encode()) for part in ({"alg": alg, "typ": "JWT", **header}, claims)]
    signed = ".".join(parts).encode()
    if alg == "ES256":
        halves = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(DIGESTS[alg])))
        signature = b"".join(half.to_bytes(32, "big") for half in halves)
    else:
        signature = key.sign(signed, _padding(alg), DIGESTS[alg])
    return ".".join([*parts, to_text(signature)])


def verify(token, public_key, alg="RS256"):
    """The claims, or None when it is not a token of this key and algorithm."""
    try:
        head, body, signature = token.split(".")
        if json.loads(to_bytes(head))["alg"] != alg:
            return None
        signature, signed = to_bytes(signature), f"{head}.{body}".encode()
        if alg == "ES256":
            halves = (int.from_bytes(half, "big") for half in (signature[:32], signature[32:]))
            public_key.verify(utils.encode_dss_signature(*halves), signed, ec.ECDSA(DIGESTS[alg]))
        else:
            public_key.verify(signature, signed, _padding(alg), DIGESTS[alg])
        return json.loads(to_bytes(body))
    except (ValueError, KeyError, InvalidSignature):
        return None
