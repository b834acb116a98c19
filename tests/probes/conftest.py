# SPDX-License-Identifier: Apache-2.0
import pytest
import sandbox


@pytest.fixture(params=["root", "user"])
def box(request):
    made = sandbox.make(request.param)
    yield made
    sandbox.unmake(made)
