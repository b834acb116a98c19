# SPDX-License-Identifier: Apache-2.0
"""The OpenBao double: child tokens, accessors, leases and wrapping."""

import hashlib

import pytest


class Bao:
    def __init__(self, double, web):
        self.double, self.web = double, web
        double.policy("app", "database/", "secret/data/app", "auth/token/", "sys/", sudo=["sys/leases/revoke-prefix/"])
        double.role("database/creds/reader")
        double.secret("app/key", value="s")
        double.secret("other", value="o")
        self.parent = double.token("app")

    def ask(self, method, path, by=None, wrap=None, **body):
        headers = {"X-Vault-Token": by or self.parent, **({"X-Vault-Wrap-TTL": wrap} if wrap else {})}
        return self.web.request(method, f"{self.double.url}v1/{path}", headers=headers, json=body or None)

    def child(self, **asked):
        told = self.ask("POST", "auth/token/create", **{"policies": ["app"], "ttl": "10m", **asked}).json()["auth"]
        return told["client_token"], told["accessor"]


@pytest.fixture
def bao(openbao, web):
    return Bao(openbao, web)


def test_a_child_has_a_subset_of_its_parents_policies_and_never_more(bao):
    bao.double.policy("narrow", "secret/data/app")
    told = bao.ask("POST", "auth/token/create", policies=["app"], no_default_policy=True, explicit_max_ttl="60s",
                   ttl="1h", meta={"mission": "m1"}).json()["auth"]
    assert told["policies"] == ["app"] and told["lease_duration"] == 60 and told["metadata"] == {"mission": "m1"}
    assert bao.ask("GET", "secret/data/app/key", told["client_token"]).json()["data"]["data"] == {"value": "s"}
    assert bao.ask("GET", "secret/data/other", told["client_token"]).status_code == 403
    refused = bao.ask("POST", "auth/token/create", policies=["root"])
    assert refused.status_code == 400 and "subset" in refused.json()["errors"][0]


def test_a_token_is_used_up_after_its_uses(bao):
    token, accessor = bao.child(num_uses=2)
    assert [bao.ask("GET", "secret/data/app/key", token).status_code for _ in range(3)] == [200, 200, 403]
    assert not bao.double.accessor_is_alive(accessor)


def test_a_lease_is_not_given_to_the_last_use_of_a_token(bao):
    token, _ = bao.child(num_uses=1)
    refused = bao.ask("GET", "database/creds/reader", token)
    assert refused.status_code == 400 and "immediately revoked" in refused.json()["errors"][0]
    assert all(not held.is_alive for held in bao.double.tokens.values() if held.kind == "credential")


def test_an_accessor_revokes_a_token_and_its_leases_without_knowing_it(bao):
    token, accessor = bao.child()
    lease = bao.ask("GET", "database/creds/reader", token).json()
    other, _ = bao.child()
    assert bao.ask("POST", "auth/token/revoke-accessor", accessor=accessor).status_code == 204
    assert bao.ask("GET", "auth/token/lookup-self", token).status_code == 403
    assert bao.ask("GET", "auth/token/lookup-self", other).status_code == 200
    assert not bao.double.is_alive(lease["data"]["password"])
    assert bao.ask("POST", "auth/token/revoke-accessor", accessor=accessor).status_code == 400
    hashes = {hashlib.sha256(value.encode()).hexdigest() for value in (token, lease["data"]["password"])}
    assert hashes <= bao.double.revoked()


def test_a_child_dies_with_its_parent(bao):
    token, accessor = bao.child()
    grandchild = bao.ask("POST", "auth/token/create", token, policies=["app"]).json()["auth"]["client_token"]
    assert bao.double.accessor_is_alive(accessor)
    assert bao.ask("POST", "auth/token/revoke-self", token).status_code == 204
    assert bao.ask("GET", "auth/token/lookup-self", grandchild).status_code == 403
    assert bao.ask("GET", "auth/token/lookup-self").status_code == 200


def test_a_lookup_tells_what_is_left(bao):
    token, accessor = bao.child(num_uses=5)
    by_accessor = bao.ask("POST", "auth/token/lookup-accessor", accessor=accessor).json()["data"]
    assert by_accessor["id"] == "" and 0 < by_accessor["ttl"] <= 600 and by_accessor["num_uses"] == 5
    assert bao.ask("POST", "auth/token/lookup", token=token).json()["data"]["id"] == token
    assert bao.ask("POST", "auth/token/lookup", token="hvs.x").status_code == 403


def test_a_lease_is_revoked_alone_and_a_prefix_revokes_all_under_it(bao):
    bao.double.role("database/creds/writer")
    first, second = (bao.ask("GET", "database/creds/reader").json() for _ in range(2))
    writer = bao.ask("GET", "database/creds/writer").json()

    def alive():
        return [bao.double.is_alive(each["data"]["password"]) for each in (first, second, writer)]
    assert bao.ask("PUT", "sys/leases/lookup", lease_id=first["lease_id"]).json()["data"]["ttl"] > 0
    assert bao.ask("PUT", "sys/leases/revoke", lease_id=first["lease_id"], sync=True).status_code == 204
    assert alive() == [False, True, True]
    assert bao.ask("PUT", "sys/leases/lookup", lease_id=first["lease_id"]).status_code == 400
    assert bao.ask("PUT", "sys/leases/revoke-prefix/database/creds/reader", sync=True).status_code == 204
    assert alive() == [False, False, True]


def test_a_wrapped_answer_is_unwrapped_once(bao):
    wrapped = bao.ask("POST", "auth/token/create", wrap="60s", policies=["app"]).json()
    assert wrapped["auth"] is None and wrapped["wrap_info"]["ttl"] == 60
    handed = wrapped["wrap_info"]["token"]
    assert bao.ask("POST", "sys/wrapping/lookup", token=handed).json()["data"]["creation_path"] == "auth/token/create"
    told = bao.ask("POST", "sys/wrapping/unwrap", handed).json()["auth"]
    assert bao.ask("GET", "auth/token/lookup-self", told["client_token"]).status_code == 200
    assert bao.ask("POST", "sys/wrapping/unwrap", handed).status_code == 400
    assert bao.ask("POST", "sys/wrapping/lookup", token=handed).status_code == 400


def test_an_app_role_logs_in_as_often_as_its_secret_id_allows(bao):
    role_id = bao.double.app_role("agents", "app")
    secret_id = bao.double.secret_id(role_id, uses=1)
    told = bao.ask("POST", "auth/approle/login", role_id=role_id, secret_id=secret_id).json()["auth"]
    assert told["policies"] == ["app", "default"]
    child = bao.ask("POST", "auth/token/create", told["client_token"], policies=["app"]).json()["auth"]
    assert bao.ask("GET", "secret/data/app/key", child["client_token"]).status_code == 200
    assert bao.ask("POST", "auth/token/revoke-self", told["client_token"]).status_code == 204
    assert not bao.double.is_alive(child["client_token"]), "a child of a login ends with it"
    again = bao.ask("POST", "auth/approle/login", role_id=role_id, secret_id=secret_id)
    assert again.status_code == 400 and "invalid role or secret ID" in again.json()["errors"][0]
    assert bao.ask("POST", "auth/elsewhere/login", role_id=role_id, secret_id=secret_id).status_code == 404


def test_a_wrapped_secret_id_tells_what_it_is_before_it_is_unwrapped(bao):
    role_id = bao.double.app_role("agents", "app")
    wrapped = bao.double.wrapped_secret_id(role_id)
    told = bao.web.post(f"{bao.double.url}v1/sys/wrapping/lookup", json={"token": wrapped})
    assert told.json()["data"]["creation_path"] == "auth/approle/role/agents/secret-id"
    secret_id = bao.ask("POST", "sys/wrapping/unwrap", wrapped).json()["data"]["secret_id"]
    assert bao.ask("POST", "auth/approle/login", role_id=role_id, secret_id=secret_id).status_code == 200


def test_what_an_entity_has_its_children_have_as_well(bao):
    bao.double.identity = ["group"]
    told = bao.ask("POST", "auth/token/create", policies=["app"], no_default_policy=True).json()["auth"]
    assert told["policies"] == ["app", "group"] and told["identity_policies"] == ["group"]


def test_revoking_a_prefix_needs_sudo(bao):
    bao.double.policy("retire", "sys/leases/")
    by = bao.double.token("retire")
    assert bao.ask("POST", "sys/leases/revoke-prefix/database/creds/reader", by, sync=True).status_code == 403
    bao.double.policy("retire", "sys/leases/", sudo=["sys/leases/revoke-prefix/"])
    assert bao.ask("POST", "sys/leases/revoke-prefix/database/creds/reader", by, sync=True).status_code == 204


def test_a_lease_whose_engine_is_down_stays_until_it_is_back(bao):
    token, accessor = bao.child()
    lease = bao.ask("GET", "database/creds/reader", token).json()
    bao.double.engine_is_down = True
    assert bao.ask("POST", "sys/leases/revoke", by=bao.double.root, lease_id=lease["lease_id"],
                   sync=True).status_code == 500
    assert bao.ask("POST", "auth/token/revoke-accessor", by=bao.double.root, accessor=accessor).status_code == 204
    assert bao.double.is_alive(lease["data"]["password"]), "the token is gone and its lease is not"
    bao.double.engine_is_down = False
    assert bao.ask("POST", "sys/leases/revoke", by=bao.double.root, lease_id=lease["lease_id"],
                   sync=True).status_code == 204
    assert not bao.double.is_alive(lease["data"]["password"])


def test_another_namespace_and_a_sealed_server_answer_as_such(bao):
    bao.double.namespace = "team"
    assert bao.ask("GET", "secret/data/app/key").status_code == 404
    bao.double.namespace = ""
    bao.double.is_sealed = True
    sealed = bao.ask("GET", "secret/data/app/key")
    assert sealed.status_code == 503 and sealed.json()["errors"] == ["Vault is sealed"]
