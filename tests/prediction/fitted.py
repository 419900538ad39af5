"""Parameters and measurements of a small world that follows the model of predictions."""

import numpy as np

from itm.prediction.fit import Curves, Measured
from itm.prediction.parameters import CurveParameters, PriorParameters

RATES = (5e-5, 5e-4, 5e-3)
SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)

PRIOR = PriorParameters(
    features=("linear_probe", "parameters", "batch_norm"),
    centres=(0.8, 6.0, 0.5),
    scales=(0.2, 0.5, 0.5),
    intercept=0.9,
    slopes=(0.2, 0.025, 0.05),
    set_variance=0.004,
    model_variance=0.0015,
    rest_variance=0.006,
    records={"known": (0.08, 0.0003)},
)


def table(*rows: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Return rows over the shares of the steps; a row of one number has it everywhere."""
    return tuple(row * 5 if len(row) == 1 else row for row in rows)


def alike(per_decade: float, per_halving: float) -> tuple[tuple[float, ...], ...]:
    """Return correlations of the noise of cells that fall with the distance of their rates and shares."""
    rates, shares = np.log10(RATES), np.log2(SHARES)
    of_rates = per_decade ** np.abs(rates[:, None] - rates[None, :])
    of_shares = per_halving ** np.abs(shares[:, None] - shares[None, :])
    return tuple(tuple(row) for row in np.kron(of_rates, of_shares).tolist())


CURVES = CurveParameters(
    rates=RATES,
    shares=SHARES,
    offsets=table((-0.08,), (-0.1, -0.08, -0.05, -0.02, 0.0), (-0.5,)),
    follows=table((1.0,), (1.0,), (1.0,)),
    shows=table((0.2,), (0.4, 0.5, 0.7, 0.9, 1.0), (0.5,)),
    noise=table((0.05,), (0.08, 0.06, 0.05, 0.025, 0.025), (0.2,)),
    alike=alike(0.2, 0.6),
    shared_by_seeds=0.5,
    shared_by_models=0.1,
)


def world(seed: int, sets: int = 12, models: int = 20) -> tuple[Measured, Curves]:
    """Return measurements whose accuracies and curves are drawn with the parameters above. Models share no noise."""
    generator = np.random.default_rng(seed)
    count = sets * models
    features = generator.standard_normal((count, 3)) * PRIOR.scales + PRIOR.centres
    data, weights = np.repeat(np.arange(sets), models).astype(str), np.tile(np.arange(models), sets).astype(str)
    of_set = generator.normal(0, PRIOR.set_variance**0.5, sets).repeat(models)
    of_model = np.tile(generator.normal(0, PRIOR.model_variance**0.5, models), sets)
    expected = PRIOR.intercept + (features - PRIOR.centres) / np.array(PRIOR.scales) @ PRIOR.slopes
    final = expected + of_set + of_model + generator.normal(0, PRIOR.rest_variance**0.5, count)
    offsets, shows, noise = (np.array(getattr(CURVES, name)) for name in ("offsets", "shows", "noise"))
    results = offsets + expected[:, None, None] + shows * (final - expected)[:, None, None]
    drawn = generator.multivariate_normal(np.zeros(noise.size), np.array(CURVES.alike), count)
    results = results + noise * drawn.reshape(count, *noise.shape)
    measured = Measured(features, final, data, weights)
    return measured, Curves(RATES, SHARES, results, np.full_like(results, np.nan), np.full(count, 10**6))
