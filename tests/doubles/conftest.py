# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the checks of the doubles: clients that speak to them over TLS."""

import sys
from pathlib import Path

import pytest
import requests

sys.path.insert(0, str(Path(__file__).resolve().parent))

import providers  # noqa: E402
import identity as identities  # noqa: E402
from authority import Authority  # noqa: E402


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def web(authority):
    """A client that trusts the test's authority and nothing that the environment says."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(authority.ca_file)
        yield session


@pytest.fixture(scope="session")
def auth0_process(tmp_path_factory, authority):
    identities.require(providers.is_installed(), "the doubles are not installed (scripts/setup doubles)")
    with providers.auth0_double(tmp_path_factory.mktemp("auth0"), authority) as double:
        yield double


@pytest.fixture
def auth0(auth0_process):
    auth0_process.reset()
    return auth0_process


def double_fixture(kind):
    @pytest.fixture
    def made(tmp_path, authority):
        with kind(tmp_path / kind.name, authority) as double:
            yield double
    return made


github = double_fixture(providers.GitHubDouble)
google = double_fixture(providers.GoogleDouble)
openbao = double_fixture(providers.OpenBaoDouble)
aws = double_fixture(providers.AwsDouble)
kubernetes = double_fixture(providers.KubernetesDouble)
