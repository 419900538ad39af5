"""Limits of models as users write them."""

import pytest

from itm.core.errors import ParamsError
from itm.core.params import Params, with_overrides
from itm.core.yaml_records import parse


def test_limits_are_read_with_their_units_and_as_plain_numbers() -> None:
    values = {"max_params": "30M", "max_gmacs": 5, "max_latency": "0.2 s", "max_memory": "8GB", "licences": "permissive"}
    filters = parse({"filters": values}, Params, "test").filters
    assert filters.as_set() == {
        "max_params": 30_000_000,
        "max_gmacs": 5,
        "max_latency": 200,
        "max_memory": 8_000_000_000,
        "licences": ["permissive"],
    }
    assert parse({"filters": filters.model_dump()}, Params, "test").filters == filters
    unset = dict.fromkeys(("max_params", "max_gmacs", "max_latency", "max_memory", "licences"))
    assert parse({"filters": unset}, Params, "test").filters == Params().filters
    assert Params().filters.as_set() == {}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("max_params", "30 MB", "must be a number of parameters such as 30M"),
        ("max_params", 0, "must be greater than 0"),
        ("max_latency", "5 minutes", "must be a duration such as 5ms"),
        ("max_memory", "much", "must be a size such as 8GB"),
    ],
)
def test_wrong_limit_is_refused_with_an_example(key: str, value: object, message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        with_overrides(Params(), filters={key: value})
