# SPDX-License-Identifier: Apache-2.0
"""The Auth0 double: runs auth0/server.mjs and tells it what there is and what goes wrong."""

import base64
import json
import platform
import subprocess
from pathlib import Path

from double_base import Provider, read_log

import processes
from upstream import hold_port

HERE = Path(__file__).resolve().parent
INSTALLED = HERE.parents[1] / "build" / "doubles"

VAULT_GRANT = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CIBA_GRANT = "urn:openid:params:grant-type:ciba"
FEDERATED_TOKEN = "http://auth0.com/oauth/token-type/federated-connection-access-token"
WORKER_TOKEN = "http://auth0.com/oauth/token-type/token-vault-access-token"
TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"


def is_installed():
    return (INSTALLED / ".installed").exists()


def node():
    """The Node of build/doubles: newer than Debian's."""
    kind = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
    return INSTALLED / "node_modules" / f"node-linux-{kind}" / "bin" / "node"


def encode(number, size=None):
    number = number.to_bytes(size or (number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(number).rstrip(b"=").decode()


def public_jwk(key, **more):
    """The JWK of an RSA or P-256 key of `cryptography`."""
    numbers = key.public_key().public_numbers()
    if hasattr(numbers, "n"):
        return {"kty": "RSA", "n": encode(numbers.n), "e": encode(numbers.e), **more}
    return {"kty": "EC", "crv": "P-256", "x": encode(numbers.x, 32), "y": encode(numbers.y, 32), **more}


class Auth0Double(Provider):
    """A running auth0/server.mjs. `name`: whom the certificate names and the issuer is, unless `issuer` is given (when
    clients reach the double by a name and port of their own, as through `rig.host`)."""

    def __init__(self, folder, authority, name="localhost", issuer=None, tenant=None, port=0):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_file = self.folder / "auth0.jsonl"
        self.ca_file, self._authority, self.name = authority.ca_file, authority, name
        certificate, key = authority.issue(name, f"mtls.{name}", "127.0.0.1", label=f"auth0-{name}")
        with open(self.folder / "auth0.err", "ab") as errors:
            self._process = subprocess.Popen(
                [node(), "--import", HERE / "resolve.mjs", HERE / "auth0" / "server.mjs"], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=errors, text=True)
        self.pid = self._process.pid
        processes.expected.add(self.pid)
        self._write({"name": name, "issuer": issuer, "certificate": str(certificate), "key": str(key), "port": port,
                     "ca_file": str(authority.ca_file), "log": str(self.log_file), "tenant": tenant or {}})
        told = self._read()
        self.address_of(told["port"])
        self.unasking = f"127.0.0.1:{told['unasking_port']}"  # the same provider, that asks nobody for a certificate
        self.issuer = self.url = told["issuer"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self._process.poll() is None:
            self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process.stdout.close()
        processes.expected.discard(self.pid)

    def _write(self, message):
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _read(self):
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the Auth0 double ended: {(self.folder / 'auth0.err').read_text()[-2000:]}")
        return json.loads(line)

    def reset(self):
        """As just started, but for port, key and the file of the log."""
        self.tell("reset")
        self._forgotten = len(read_log(self.log_file))

    def tell(self, command, **more):
        self._write({"do": command, **more})
        told = self._read()
        if "error" in told:
            raise ValueError(told["error"])
        return told["ok"]

    # ---- what there is ---------------------------------------------------------------------------------------------
    def tenant(self, **changes):
        """profile auth0|generic, scope_parameter, mfa_policy never|always, revocation_deletes_grant, dpop_nonce, user,
        deny, device_interval."""
        self.tell("tenant", **changes)

    def client(self, client_id, secret=None, grants=(), method=None, **metadata):
        """Adds or replaces a client. metadata: Auth0's names (refresh_token, app_type, resource_server_identifier,
        token_vault_privileged_access, is_first_party, oidc_conformant) and OpenID's (jwks, redirect_uris, …)."""
        method = method or ("client_secret_post" if secret else "none")
        self.tell("client", client_id=client_id, grant_types=list(grants), token_endpoint_auth_method=method,
                  **({"client_secret": secret} if secret else {}), **metadata)

    def connection(self, name, **settings):
        """narrowing honoured|strict|lenient, ttl, prefix, token_length, clients, cache_narrowed, answer {scope: commas|
        absent, expires_in: string}, upstream {token_url, address, client_id, client_secret, ca_file}."""
        self.tell("connection", name=name, **settings)

    def connect(self, user, connection, scopes, **more):
        """Connects an account of a user (login: what `login_hint` names; upstream_refresh_token); returns its id."""
        return self.tell("connect", user=user, connection=connection, scopes=list(scopes), **more)

    def accounts(self, user):
        return self.tell("accounts", user=user)

    def account(self, account, **changes):
        """refreshable=False: the provider refuses to refresh."""
        self.tell("account", id=account, **changes)

    def forget(self, account):
        """The vault's cached tokens of an account are gone, as when they have expired."""
        self.tell("forget", id=account)

    def refresh_token(self, client, user, scope=None, audiences=None):
        """An Auth0 refresh token, as after a login."""
        return self.tell("refresh_token", client=client, user=user, scope=scope, audiences=audiences)

    def refresh_tokens(self, user):
        """The values of all that a user still has."""
        return self.tell("refresh_tokens", user=user)

    def access_token(self, client, user, audience=None, scope=""):
        return self.tell("access_token", client=client, user=user, audience=audience, scope=scope)

    def approve_device(self, user_code, user="auth0|u1"):
        self.tell("device", user_code=user_code, user=user)

    def deny_device(self, user_code):
        self.tell("device", user_code=user_code, deny=True)

    def approve(self, auth_req_id):
        """The user at the device to which a CIBA request was pushed."""
        self.tell("approval", auth_req_id=auth_req_id)

    def deny(self, auth_req_id):
        self.tell("approval", auth_req_id=auth_req_id, deny=True)

    def is_alive(self, token):
        return self.tell("alive", token=token)

    def certificates(self):
        """The client certificates that were shown where tokens are bound to them, PEM."""
        return self.tell("certificates")

    def binding(self, token):
        """`x5t#S256` of the certificate that a token is bound to; None: it is bound to none, or not alive."""
        return self.tell("binding", token=token)

    def kill(self, token=None, account=None, grant=False):
        """The provider behind a connection takes away a token, or all of an account's and with them its grant."""
        self.tell("kill", token=token, account=account, grant=grant)

    # ---- what goes wrong -------------------------------------------------------------------------------------------
    def fail(self, fault, **details):
        self.tell("fail", fault=fault, **details)

    def mend(self):
        self.tell("mend")

    def down(self):
        self.tell("down")
        self._held = hold_port(self.port)

    def up(self):
        self._held.close()
        self.tell("up")

    def certificate(self, valid="now"):
        """From now on a certificate that is now | expired | future."""
        certificate, key = self._authority.issue(self.name, f"mtls.{self.name}", "127.0.0.1", valid=valid,
                                                 label=f"auth0-{self.name}-{valid}")
        self.tell("certificate", certificate=str(certificate), key=str(key))

