"""A small synthetic catalogue and a small model of it, for what is measured over titles."""

from __future__ import annotations

import pytest
from world_stores import SmallCatalogue, make_catalogue


@pytest.fixture(scope="session")
def small_catalogue(tmp_path_factory: pytest.TempPathFactory) -> SmallCatalogue:
    """Read, never changed."""
    return make_catalogue(tmp_path_factory.mktemp("catalogue"))
