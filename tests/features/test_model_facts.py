"""Facts are measured once, and again when the model is another one or the record is damaged."""

from dataclasses import replace

import pytest

from itm.core.types import ModelRef, Preprocessing
from itm.features.extractors import Extractor
from itm.features.model_facts import stored_facts
from itm.store.layout import Store
from itm.zoo import facts

pytestmark = pytest.mark.slow


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the models that are measured."""
    names: list[str] = []
    real = facts.facts

    def measure(model: ModelRef, *arguments: object) -> object:
        names.append(model.name)
        return real(model, *arguments)

    monkeypatch.setattr(facts, "facts", measure)
    return names


def test_facts_are_measured_once(resnet: ModelRef, store: Store, measured: list[str]) -> None:
    first = stored_facts(Extractor(resnet), store)
    assert stored_facts(Extractor(resnet), store) == first
    assert measured == [resnet.name]
    assert (first.input_size, first.width) == (48, 96)


def test_another_definition_is_measured_again(resnet: ModelRef, store: Store, measured: list[str]) -> None:
    stored_facts(Extractor(resnet), store)
    larger = stored_facts(Extractor(replace(resnet, preprocessing=Preprocessing(96))), store)
    named = stored_facts(Extractor(replace(resnet, family="mine")), store)
    assert (larger.input_size, named.family) == (96, "mine")
    assert len(measured) == 3


def test_a_damaged_or_old_record_is_measured_again(resnet: ModelRef, store: Store, measured: list[str]) -> None:
    first = stored_facts(Extractor(resnet), store)
    (path,) = (store.root / "cache" / "facts").iterdir()
    for content in ("{", path.read_text().replace('"width": 96', '"width": 97')):
        path.write_text(content)
        assert stored_facts(Extractor(resnet), store) == first
    assert len(measured) == 3


def test_a_store_that_cannot_be_written_loses_nothing(
    resnet: ModelRef, store: Store, measured: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    store.root.mkdir(parents=True)
    (store.root / "cache").write_text("a file")
    assert stored_facts(Extractor(resnet), store).width == 96
    assert "is measured again by the next run" in caplog.text
    assert measured == [resnet.name]
