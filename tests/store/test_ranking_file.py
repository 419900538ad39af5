"""When the page of a ranking is written again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from itm.core.params import Params
from itm.core.yaml_records import parse
from itm.run import pipeline
from itm.store.layout import Store

pytestmark = pytest.mark.slow


@pytest.fixture
def ranked(tmp_path: Path, zoo_file: Path) -> Callable[..., Path]:
    """Return a function that ranks models of the embedded zoo and gives the path of the page."""

    def rank(*models: str) -> Path:
        zoo = {"file": zoo_file, "models": list(models)}
        values = {"data": {"sets": ["synthetic:shapes?images=60"]}, "zoo": zoo, "score": {"names": ["knn"], "rank_by": "knn"}}
        store = Store(tmp_path / "store")
        pipeline.run(parse(values | {"store": store.root}, Params, "test"), store)
        return store.reports / "index.html"

    return rank


def test_the_page_is_written_again_only_for_another_ranking(ranked: Callable[..., Path]) -> None:
    page = ranked("test_resnet.drawn_long")
    whole, written = page.read_bytes(), page.stat().st_mtime_ns
    ranked("test_resnet.drawn_long")
    assert page.stat().st_mtime_ns == written

    page.unlink()
    ranked("test_resnet.drawn_long")
    assert page.read_bytes() == whole

    page.write_text("of another ranking")
    (page.parents[1] / "scores" / "ranking.json").write_text("{")
    ranked("test_resnet.drawn_long")
    assert page.read_bytes() == whole

    ranked("test_resnet.drawn_long", "test_resnet.drawn_short")
    assert b"test_<wbr>resnet.<wbr>drawn_<wbr>short" in page.read_bytes()
