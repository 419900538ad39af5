"""Similarity by facts."""

import numpy as np
import pytest

from benchmarks.similarity import similarity


def test_equal_facts_are_more_similar_than_near_ones_and_unknown_ones_are_not() -> None:
    base = {"family": "vit", "parameters": 1e6}
    found = similarity([base, dict(base), base | {"parameters": 2e6}, base | {"family": "swin"}, {}])
    assert found[0, 1] == pytest.approx(1)
    assert found[0, 1] > found[0, 2] > found[0, 3] > found[0, 4] == 0


def test_it_is_a_covariance() -> None:
    generator = np.random.default_rng(0)
    facts = [{"family": str(generator.integers(3)), "parameters": float(generator.integers(1, 9))} for _ in range(30)]
    facts[3] = {}
    facts[4] = {"parameters": float("nan")}
    assert np.linalg.eigvalsh(similarity(facts)).min() > -1e-10


def test_without_facts_only_equal_things_are_similar() -> None:
    assert np.array_equal(similarity([{}, {}]), np.eye(2))
