"""NCTI: how near the embeddings are to neural collapse, the state in which training on the classes would end.

Source: Wang, Luo, Zheng, Huang, Baktashmotlagh, "How Far Pre-trained Models Are from Neural Collapse on the Target Dataset
Informs their Transferability", ICCV 2023.

The published score is a + b - c, each stretched over the models ranked together. Here a, b and -c are scores of their own that
no other model changes, and `ncti` is their pooled sum: a + b - c + 1, since (-c) is stretched to 1 less what c is.

All three come from one linear discriminant analysis in 64 principal dimensions. Its covariance within classes is shrunk by what
is published only with `reference`, for that depends on the unit of the features; else as far as its own noise asks for, as in
`lda` and `sfda`. The covariance between classes is then left as it is: as published it is shrunk as well, and where much is,
rounding chooses among directions that no longer differ.
"""

from dataclasses import dataclass

import numpy as np

from itm.core.errors import ParamsError
from itm.scores.common.discriminant import Discriminant, intensity
from itm.scores.common.principal import Principal, principal
from itm.scores.common.statistics import Statistics
from itm.scores.evaluate import Definition, Sample, register

PAPER = "Wang et al., ICCV 2023"
SHRINKING = 32  # principal dimensions whose variance decides on the published shrinkage
LEAST = 1e-10  # of the published shrinkage; of the variance within classes, as a share of all
NEGLIGIBLE = 1e-8  # of the largest eigenvalue


@dataclass(frozen=True)
class NctiOptions:
    """NCTI has none of its own: options are its terms'."""


@dataclass(frozen=True)
class NctiTermOptions:
    """The principal `dimensions` that are looked at; `reference` shrinks as published, which depends on the features' unit."""

    dimensions: int = 64
    reference: bool = False

    def __post_init__(self) -> None:
        if self.dimensions < 1:
            raise ParamsError(f"ncti: dimensions is {self.dimensions}; it must be at least 1.")


def ncti_nuclear(sample: Sample, options: NctiTermOptions) -> float:
    """Return a, the nuclear norm of the rows along at most C - 1 discriminants, the mean subtracted.

    In principal coordinates the covariance is diag(values), so that the singular values of the rows along axes A are those of
    diag(n values)^(1/2) A, and no row is read.
    """
    return _analysed(sample.statistics, options)[1]


def ncti_posterior(sample: Sample, options: NctiTermOptions) -> float:
    """Return b, the mean over the rows of the probability of their own class."""
    statistics = sample.statistics
    model, _ = _analysed(statistics, options)
    return float(model.posterior(statistics.blocks(), statistics.labels).mean())


def ncti_collapse(sample: Sample, options: NctiTermOptions) -> float:
    """Return -c, c being the log of the sum over classes of the nuclear norm of the posteriors [n_c, C] of the class's rows.

    The norm is that of the triangle of a QR factorisation of the rows so far, and a class is never held whole.
    """
    statistics = sample.statistics
    model, _ = _analysed(statistics, options)
    norms = 0.0
    for label in range(statistics.classes):
        kept = np.zeros((0, statistics.classes))
        for block in statistics.rows_of(label):
            for chances in model.chances(block):
                kept = np.concatenate([kept, chances])
                if len(kept) > statistics.classes:
                    kept = np.asarray(np.linalg.qr(kept, mode="r"))
        norms += float(np.linalg.svd(kept, compute_uv=False).sum())
    return -float(np.log(norms))


def _analysed(statistics: Statistics, options: NctiTermOptions) -> tuple[Discriminant, float]:
    """Return the analysis by the covariances W within and B between classes, and the rows' nuclear norm along its axes.

    The posterior is softmax_c(z^T W^-1 c - c^T W^-1 c / 2 + log share_c), c being a class's centre, and the discriminants are
    the generalised eigenvectors of B and W, C - 1 at most.
    """
    space = principal(statistics, options.dimensions)
    between = (space.centres.T * statistics.shares) @ space.centres
    within = np.diag(space.variances) - between
    if options.reference:
        whitening, between = _published(space, within, between)
    else:
        shrinkage = intensity(space.residual_squares(), float(np.square(within).sum()), max(space.dimensions, 1))
        whitening = _whitening(_shrunk(within, shrinkage, LEAST * float(space.variances.sum())), 0.0)
    strengths, directions = np.linalg.eigh(whitening.T @ between @ whitening)
    kept = min(statistics.classes - 1, int((strengths > NEGLIGIBLE * strengths.max(initial=0.0)).sum()))
    discriminants = whitening @ directions[:, ::-1][:, :kept]
    along = np.linalg.svd(np.sqrt(space.variances)[:, None] * discriminants, compute_uv=False)
    weights = whitening @ (whitening.T @ space.centres.T)
    offsets = np.log(statistics.shares) - np.einsum("ck,kc->c", space.centres, weights) / 2
    return Discriminant((space.axes @ weights).T, offsets), float(np.sqrt(statistics.n) * along.sum())


def _shrunk(covariance: np.ndarray, shrinkage: float, least: float = 0.0) -> np.ndarray:
    """Return (1 - t) S + t tr(S) / k I, with `least` for t tr(S) at least, so that classes that are points have some width."""
    trace = max(shrinkage * float(np.trace(covariance)), least)
    return np.asarray((1 - shrinkage) * covariance + trace / max(len(covariance), 1) * np.eye(len(covariance)))


def _published(space: Principal, within: np.ndarray, between: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what whitens W, and B, both shrunk by t = max(exp(-sum of the 32 largest variances), 1e-10) as published.

    Features times 10 switch that off, and features times 0.1 leave little but the distance to the class means. Where t is
    1e-10, the published code does not shrink, and leaves out directions in which rows do not vary within classes.
    """
    n = space.statistics.n
    shrinkage = float(np.exp(-space.variances[:SHRINKING].sum() * n / (n - 1)))
    if shrinkage <= LEAST:
        return _whitening(within, NEGLIGIBLE), between
    return _whitening(_shrunk(within, shrinkage), 0.0), _shrunk(between, shrinkage)


def _whitening(covariance: np.ndarray, negligible: float) -> np.ndarray:
    """Return A [k, r] with A A^T the inverse, or the pseudo-inverse where eigenvalues are negligible.

    Each dimension is brought to variance 1 first.
    """
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    spread = np.where(spread > 0, spread, 1.0)
    values, vectors = np.linalg.eigh(covariance / np.outer(spread, spread))
    kept = values > negligible
    return np.asarray(vectors[:, kept] / np.sqrt(values[kept]) / spread[:, None])


NUCLEAR = register(
    Definition(
        name="ncti_nuclear",
        function=ncti_nuclear,
        options=NctiTermOptions(),
        sampling="subset",
        summary="Nuclear norm of the embeddings along their linear discriminants, the first term of ncti.",
        meaning="How far and evenly the classes spread over C - 1 directions, against their own width. Grows with the square "
        "root of the number of images, so compare models on the same images only.",
        lowest=0.0,
        paper=PAPER,
        cost="64 n d",
    )
)
POSTERIOR = register(
    Definition(
        name="ncti_posterior",
        function=ncti_posterior,
        options=NctiTermOptions(),
        sampling="subset",
        summary="Mean probability of the true class by linear discriminant analysis, the second term of ncti.",
        meaning="How sure a linear discriminant analysis is of the true class, on the very images it was fitted to: 1 is "
        "perfect, and with few images every model comes near it.",
        lowest=0.0,
        highest=1.0,
        paper=PAPER,
        cost="64 n d",
    )
)
COLLAPSE = register(
    Definition(
        name="ncti_collapse",
        function=ncti_collapse,
        options=NctiTermOptions(),
        sampling="subset",
        summary="How alike the posteriors of a class's images are, the third term of ncti with its sign turned.",
        meaning="Minus the log of how many different posteriors the images of a class have. High where all are judged alike, "
        "rightly or for want of any difference, so of use beside the other two terms only.",
        paper=PAPER,
        cost="64 n d + n C^2",
    )
)
NCTI = register(
    Definition(
        name="ncti",
        function=None,
        options=NctiOptions(),
        sampling="pooled",
        summary="Nearness to neural collapse: sum of three terms, each stretched over the models ranked together.",
        meaning="From 0, last of the models ranked together in all three terms, to 3, first in all of them. It says nothing of "
        "one model alone, and a model that is added can swap two others.",
        lowest=0.0,
        highest=3.0,
        paper=PAPER,
        cost="its terms'",
        terms={"ncti_nuclear": 1.0, "ncti_posterior": 1.0, "ncti_collapse": 1.0},
    )
)
