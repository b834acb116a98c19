# SPDX-License-Identifier: Apache-2.0
"""A certificate authority for tests: makes server certificates, good ones and the broken ones that must be refused."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem_key(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


class Authority:
    """One root certificate; `ca_file` is what `upstream.ca_file` names."""

    def __init__(self, folder, common_name="Sanctum test authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(common_name)
        now = datetime.datetime.utcnow()
        self._certificate = (
            x509.CertificateBuilder().subject_name(self._name).issuer_name(self._name)
            .public_key(self._key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY).not_valid_after(now + 30 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256()))
        self.ca_file = self.folder / "ca.pem"
        self.ca_file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def key_pem(self):
        """For programs that make certificates themselves, in the name of this authority."""
        return _pem_key(self._key)

    def issue(self, *names, valid="now", label=None, **changes):
        """Certificate (with chain) and key for `names`; valid: now | expired | future. `changes`: see _build. Returns
        (cert, key) paths."""
        key, certificate = self._build(names, valid=valid, **changes)
        return self._save(label or names[0].replace("*", "_"), key, [certificate])

    def issue_through(self, *names, send=True, intermediate=None, label=None):
        """The same, signed by an intermediate certificate (`intermediate`: its changes) that is sent along or not."""
        key, certificate = self._build(["intermediate"], **{"is_authority": True, **(intermediate or {})})
        below_key, below = self._build(names, issuer=(key, certificate))
        return self._save(label or names[0], below_key, [below, certificate] if send else [below])

    def _build(self, names, valid="now", issuer=None, key=None, digest=None, usage=ExtendedKeyUsageOID.SERVER_AUTH,
               is_authority=False, has_alternatives=True, common_name=None, excluded=None):
        now = datetime.datetime.utcnow()
        begin, end = {"now": (now - DAY, now + 30 * DAY), "expired": (now - 30 * DAY, now - DAY),
                      "future": (now + DAY, now + 30 * DAY)}[valid]
        key = key or ec.generate_private_key(ec.SECP256R1())
        subject = _name(common_name or names[0])
        issuer_key, issuer_name = self._key, self._name
        if issuer == "self":
            issuer_key, issuer_name = key, subject
        elif issuer:
            issuer_key, issuer_name = issuer[0], issuer[1].subject
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(issuer_name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(begin).not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False))
        if is_authority:
            signs = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(signs, critical=True)
        else:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if excluded:
            limits = x509.NameConstraints(None, [x509.DNSName(excluded)])
            builder = builder.add_extension(limits, critical=True)
        if has_alternatives and not is_authority:
            alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return key, builder.sign(issuer_key, digest or hashes.SHA256())

    def _save(self, stem, key, chain):
        certificate_path, key_path = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        certificate_path.write_bytes(b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain))
        key_path.write_bytes(_pem_key(key))
        key_path.chmod(0o600)
        return certificate_path, key_path


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
