"""The pictures of predicted masks beside a ranking."""

from itm.core.rankings import Ranking
from itm.store.layout import Store


def read_example_masks(ranking: Ranking, store: Store) -> dict[str, bytes]:
    """Return the PNG of each data set of a ranking that has one, by name."""
    paths = {data.data: store.example_masks(data.data) for data in ranking.data_sets}
    return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
