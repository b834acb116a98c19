# SPDX-License-Identifier: Apache-2.0
"""Imports the providers' own clients in Python from build/doubles, where scripts/setup put them."""

import importlib
import sys

from providers import INSTALLED, is_installed

import identity as identities


def import_installed(name):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    folder = str(INSTALLED / "python")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)
