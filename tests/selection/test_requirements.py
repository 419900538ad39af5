"""Which models are candidates."""

from dataclasses import replace

import pytest
from short_search import MODELS, short_params

from itm.core.errors import ModelError, ParamsError
from itm.core.rankings import DataRanking, MetricFacts, RankedModel
from itm.core.types import Speed, TargetSpec
from itm.selection.requirements import Requirements, narrow, read_requirements, without_excess
from itm.zoo.selection import Filters

SPEED = Speed("cpu", 20.0, 100.0, 32, 10**8, 4 * 10**9, 32)
ROWS = (
    RankedModel("slow", "ranked", 1, speed=SPEED),
    RankedModel("quick", "ranked", 2, speed=replace(SPEED, latency_ms=4.0, finetune_memory=9 * 10**9)),
    RankedModel("unmeasured", "ranked", 3),
)
RANKING = DataRanking("cells", "folder:cells", "h", 60, TargetSpec(), MetricFacts("accuracy", "accuracy"), "itm", ROWS)


def reasons(**bounds: str) -> dict[str, str]:
    return {own.model: own.reason for own in without_excess(RANKING, read_requirements(**bounds))[1]}


def test_requirements_are_read():
    found = read_requirements("30M", 5.0, "5ms", "8GB")
    assert found == Requirements(Filters(30_000_000, 5.0), 5.0, 8 * 10**9)
    assert read_requirements(max_latency="0.1s").max_latency_ms == 100
    assert read_requirements() == Requirements()


@pytest.mark.parametrize(("name", "text"), [("latency", "fast"), ("latency", "-1ms"), ("memory", "much"), ("params", "many")])
def test_a_wrong_requirement_is_named(name, text):
    with pytest.raises(ParamsError, match=f"--max-{name}"):
        read_requirements(**{f"max_{name}": text})


def test_slow_large_and_unmeasured_models_are_left_out_with_reasons():
    assert reasons(max_latency="10ms") == {
        "slow": "its latency is 20 ms, and at most 10 ms are allowed",
        "unmeasured": "its latency is not known, and at most 10 ms are allowed",
    }
    assert reasons(max_memory="8GB") == {
        "quick": "fine-tuning needs 9 GB of memory, and at most 8 GB are allowed",
        "unmeasured": "fine-tuning needs an unknown amount of memory, and at most 8 GB are allowed",
    }
    assert [row.model for row in without_excess(RANKING, read_requirements(max_latency="10ms"))[0].rows] == ["quick"]
    assert reasons() == {}


def test_it_is_an_error_if_no_model_is_left():
    with pytest.raises(ModelError, match="no model meets the requirements: slow: its latency is 20 ms"):
        reasons(max_latency="1ms")


def test_models_with_too_many_operations_are_left_out_before_any_work(store):
    params, excluded = narrow(short_params(store), read_requirements(max_gmacs=0.0095))
    assert params.zoo.models == ("test_efficientnet.textures",)
    assert [own.model for own in excluded] == list(MODELS[:2])
    assert excluded[0].reason == "it has 0.00969 GMACs, and at most 0.0095 are allowed"
    assert narrow(short_params(store), Requirements()) == (short_params(store), ())
    with pytest.raises(ModelError, match="3 models found, but none passes the filters"):
        narrow(short_params(store), read_requirements(max_params="10"))
