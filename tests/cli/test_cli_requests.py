"""Requests on the command line and in Python: the same ranking for the same words, and embeddings without a zoo."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import itm
from itm.api.request import names, read_request
from itm.cli.options import read_params
from itm.core.errors import ModelError, ParamsError
from itm.core.params import Params
from itm.run import current
from itm.store.layout import Store

pytestmark = pytest.mark.slow

UNCHANGED = "nothing changed since this ranking was computed"
Words = str | list[str] | None


@pytest.fixture
def own(tmp_path: Path, project: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with embeddings, where all weights of the zoo are missing. Files that are new count as settled."""
    (tmp_path / "own").mkdir()
    labels = np.arange(60) % 3
    np.save(tmp_path / "own" / "near.npy", np.eye(3)[labels])
    (tmp_path / "own" / "labels.txt").write_text("\n".join(map(str, labels)))
    monkeypatch.setattr(current, "SETTLED", -(10**18))
    monkeypatch.setattr("itm.zoo.load.weights_file", lambda model: (_ for _ in ()).throw(ModelError(model.name)))
    return project()


def test_embeddings_are_not_ranked_again_although_weights_of_the_zoo_are_missing(call, own: Path) -> None:
    del own
    assert UNCHANGED not in call("rank", "embeddings:own").stderr
    assert UNCHANGED in call("rank", "embeddings:own").stderr


def test_embeddings_cannot_be_confirmed_and_nothing_is_ranked(call, own: Path) -> None:
    assert "--confirm fine-tunes models" in call("rank", "embeddings:own", "--confirm", "1", status=2).stderr
    assert not (own / "kept").exists()


@pytest.mark.parametrize(("scores", "by"), [("kn*", "knn"), ("[kl][no][ng]*", "knn")], ids=["one score", "several scores"])
def test_a_wildcard_of_scores_decides_the_order(call, own: Path, scores: str, by: str) -> None:
    del own
    assert itm.rank("embeddings:own", scores=scores).data.rank_by == by
    assert call("rank", "embeddings:own", "--score", scores).exit_code == 0


@pytest.mark.parametrize(
    ("zoo", "models", "variants"),
    [
        ("", None, None),
        ("edge", ["mini_*"], "mean, token"),
        ("timm:resnet*,vit_small*", None, ["mean,288", "token"]),
        (None, [], []),
        (None, "mini_*", None),
    ],
)
def test_functions_read_a_request_as_commands_do(project, zoo: str | None, models: Words, variants: Words) -> None:
    project()
    words = [None if own is None else [own] if isinstance(own, str) else own for own in (models, variants)]
    chosen, store = read_params(["digits"], None, zoo, words[0], None, words[1], runner={"kind": "inline"})
    found: tuple[Params, Store] = read_request("digits", zoo, models, names(variants), None, None, {})
    assert found == (chosen, store)


def test_models_named_twice_are_an_error_of_both(project) -> None:
    project()
    with pytest.raises(ParamsError, match=r"^--zoo timm:a names models, and so does --model; name all of them by --model"):
        read_params(["digits"], None, "timm:a", ["b*"])
    with pytest.raises(ParamsError, match=r"^zoo timm:a names models, and so does models; name all of them by models"):
        read_request("digits", "timm:a", "b*", None, None, None, {})
