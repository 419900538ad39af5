"""The pictures of predicted masks beside a ranking. Nothing of a ranking depends on them."""

import logging
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from PIL import Image

from itm.core.errors import is_expected
from itm.core.keys import content_key
from itm.core.rankings import DataRanking
from itm.core.secrets import error_message
from itm.core.types import DataRef, ModelRef, Outcome
from itm.kinds import get_kind
from itm.report.mask_picture import KEY, draw_masks
from itm.store.files import write_atomically
from itm.store.layout import Store

log = logging.getLogger(__name__)

IMAGES, MODELS = 4, 3
VERSION = 1  # raise it when pictures change


def write_example_masks(
    data: DataRef, ranked: DataRanking, models: Iterable[ModelRef], outcomes: Iterable[Outcome], store: Store
) -> bool:
    """Draw test images with the masks that the first models of a ranking predict, and return whether the picture changed.

    Only data sets with masks have such a picture. Whatever goes wrong, the ranking has none.
    """
    if get_kind(data.target.kind).level != "patch":
        return False
    features = {one.model: one.features for one in outcomes if one.features}
    known = {model.name: model for model in models}
    first = [row.model for row in ranked.rows if row.rank and row.rank <= MODELS and row.model in known]
    chosen = [(known[name], own) for name in first if (own := features.get(name)) and own.path.is_file()]
    key = content_key([VERSION, data.hash, [own.key for _, own in chosen]])
    path = store.example_masks(data.name)
    if not chosen or _key(path) == key:
        return False
    path.unlink(missing_ok=True)  # that of other models
    try:
        from itm.features.example_masks import example_masks  # imports torch

        found = example_masks(chosen, data, store, IMAGES)
        content = draw_masks([(one.image, one.mask, one.predicted) for one in found], data.target.names, key)
        write_atomically(path, partial(_write, content))
    except Exception as error:  # custom code can raise anything
        log.warning("%s: no masks are drawn: %s", data.name, error_message(error), exc_info=not is_expected(error))
    return True


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _key(path: Path) -> str | None:
    try:
        with Image.open(path) as image:
            return str(image.info.get(KEY))
    except (OSError, ValueError, SyntaxError):
        return None
