"""A search that is short enough for a test."""

import pytest
from short_search import short_params

from itm.core.selections import SearchBudget, Selection
from itm.selection.select import run
from itm.store.layout import Store


@pytest.fixture(scope="module")
def module_store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("selected") / "store")


@pytest.fixture(scope="module")
def selected(module_store: Store) -> Selection:
    """Return the answer of a search that could train everything."""
    return run(short_params(module_store), module_store, SearchBudget(seconds=3600))[0]
