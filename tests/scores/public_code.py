"""What public code computes where the library differs from it, reimplemented from its formulas.

Tests compare these functions with stored values of the public code, and show where the library's value is another.
"""

from itertools import combinations

import numpy as np
import scipy.optimize
import scipy.special
from scipy.special import digamma
from scipy.stats import spearmanr
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from tests.scores.dense import narrowed, true_class, two_stages, within


def energy(features: np.ndarray) -> float:
    """ETran: of the embeddings in place of the logits, over the lowest half percent of the rows; nan for fewer than 200."""
    values = np.sort(scipy.special.logsumexp(features.astype(np.float64), axis=1))
    kept = len(values) // 200
    return float(values[:kept].mean()) if kept else float("nan")


def gbc(features: np.ndarray, labels: np.ndarray) -> float:
    """Model-Spider: full covariances in 64 dimensions, with 1e-5 added to determinants.

    The determinants of ordinary features vanish beside 1e-5. Every distance is then 5.8 less than the means alone give.
    """
    rows, o, score = narrowed(features)[:, :64], 1e-5, 0.0
    classes = [rows[labels == label] for label in range(labels.max() + 1)]
    moments = [(one.mean(axis=0), np.cov(one.T)) for one in classes]
    for (mean, own), (other_mean, other) in combinations(moments, 2):
        average, apart = (own + other) / 2, mean - other_mean
        volume = o + np.sqrt(o + np.linalg.det(own) * np.linalg.det(other))
        logarithm = np.log(o + abs(np.linalg.det(average)) / volume)
        score -= 2 * float(np.exp(-apart @ np.linalg.pinv(average, hermitian=True) @ apart / 8 - logarithm / 2))
    return score


def hscore_shrunk(features: np.ndarray, labels: np.ndarray) -> float:
    """TLLib: the covariance of the class means divides by n - 1, the other one by n."""
    model = LedoitWolf().fit(features)
    means = np.stack([features[labels == label].mean(axis=0) for label in labels])
    return float((1 - model.shrinkage_) * np.trace(np.linalg.pinv(model.covariance_) @ np.cov(means.T)))


def lda(features: np.ndarray, labels: np.ndarray) -> float:
    """ETran: eigenvectors of a matrix that is not symmetric, which makes it nearest class mean in the features' own unit."""
    means = np.array([features[labels == number].mean(axis=0) for number in range(labels.max() + 1)])
    logits = features @ means.T - (means**2).sum(axis=1) / 2 + np.log(np.bincount(labels))
    return true_class(scipy.special.softmax(logits, axis=1), labels)


def leep(logits: np.ndarray, labels: np.ndarray) -> float:
    """SFDA's code: the mean of the probabilities without the log."""
    return mean_expected_probability(scipy.special.softmax(logits, axis=1), labels)


def mean_expected_probability(soft: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over rows of sum_z p(y_i | z) P_iz."""
    joint = np.eye(labels.max() + 1)[labels].T @ soft
    return float(((joint / joint.sum(axis=0))[labels] * soft).sum(axis=1).mean())


def ncti(features: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the three terms: both covariances are shrunk by an amount that depends on the unit of the features."""
    components = PCA(min(64, *features.shape), svd_solver="full")
    rows = components.fit_transform(features)
    shrinkage = max(float(np.exp(-components.explained_variance_[:32].sum())), 1e-10)
    how = {"solver": "svd"} if shrinkage <= 1e-10 else {"solver": "eigen", "shrinkage": shrinkage}
    model = LinearDiscriminantAnalysis(**how)
    along = model.fit_transform(rows, labels)
    nuclear = float(np.linalg.norm(along - along.mean(axis=0), ord="nuc"))
    return [nuclear, *ncti_of_posteriors(model.predict_proba(rows), labels)]


def ncti_of_posteriors(posteriors: np.ndarray, labels: np.ndarray) -> list[float]:
    """Return the second and third term."""
    norms = [np.linalg.norm(posteriors[labels == label], ord="nuc") for label in np.unique(labels)]
    return [true_class(posteriors, labels), float(np.log(sum(norms)))]


def nleep(features: np.ndarray, labels: np.ndarray, seed: int = 0) -> float:
    """SFDA's code: 5 C full covariances, regularised by 1e-6 in the features' own unit, and no log."""
    rows = PCA(0.8, svd_solver="full").fit_transform(features)
    mixture = GaussianMixture(5 * (labels.max() + 1), random_state=seed).fit(rows)
    return mean_expected_probability(mixture.predict_proba(rows), labels)


def cross_entropy(features: np.ndarray, labels: np.ndarray, values: np.ndarray) -> float:
    """Return the mean of -log p of the true class; the last row of `values` are biases."""
    logits = features @ values[:-1] + values[-1]
    return float(-scipy.special.log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())


def penalised_minimum(features: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights and biases that minimise cross-entropy + penalty |w|^2 / 2, from a random start."""
    shape = (features.shape[1] + 1, int(labels.max()) + 1)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        values = flat.reshape(shape)
        probabilities = scipy.special.softmax(features @ values[:-1] + values[-1], axis=1)
        error = (probabilities - np.eye(shape[1])[labels]) / len(labels)
        slope = np.vstack([features.T @ error + penalty * values[:-1], error.sum(axis=0)])
        return cross_entropy(features, labels, values) + penalty / 2 * float((values[:-1] ** 2).sum()), slope.ravel()

    start = np.random.default_rng(0).normal(size=shape).ravel()
    options = {"maxiter": 20000, "maxfun": 40000, "ftol": 0, "gtol": 1e-9, "maxcor": 50}
    return scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


def pactran(features: np.ndarray, labels: np.ndarray) -> float:
    """Return minus the public formula at its minimum: raw features, and curvatures, also by the biases, summed over rows."""
    centred = features - features.mean(axis=0)
    (n, width), classes = centred.shape, len(set(labels))
    values = penalised_minimum(centred, labels, 1 / (0.1 * n))
    loss = cross_entropy(centred, labels, values) + (values[:-1] ** 2).sum() / (0.2 * n)
    probabilities = scipy.special.softmax(centred @ values[:-1] + values[-1], axis=1)
    spread = probabilities * (1 - probabilities)
    summed = (np.square(centred).T @ spread + 1 / (0.1 * n)).sum() + spread.sum()
    return float(-loss - 0.5 * classes / (0.1 * n) * np.log(summed * 0.1 * n / (width * classes)))


def parc(features: np.ndarray, labels: np.ndarray) -> float:
    """The authors' code: a randomised PCA, and correlations of one-hot labels whose ties are broken by rounding."""
    rows = PCA(32, svd_solver="randomized", iterated_power=1, random_state=1919).fit_transform(features)
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    above = np.triu_indices(len(rows), 1)
    differ = 1 - np.corrcoef(np.eye(labels.max() + 1)[labels])[above]
    return float(100 * spearmanr(1 - np.corrcoef(rows)[above], differ)[0])


def moved_by_ped(
    features: np.ndarray, labels: np.ndarray, spread: np.ndarray, extent: float = 0.6, by_feature: bool = True
) -> np.ndarray:
    """Return the rows after PED's steps in units of the spread, pair of classes by pair.

    With `by_feature`, as in the public code, the movement of a step is summed over features instead of over path lengths.
    """
    rows, first = features / spread, None
    for _ in range(6):
        classes = [rows[labels == number] for number in range(labels.max() + 1)]
        means = [one.mean(axis=0) for one in classes]
        radii = [np.sqrt(one.var(axis=0).sum()) for one in classes]
        shifts = np.zeros((len(classes), rows.shape[1]))
        for one, two in combinations(range(len(classes)), 2):
            line = means[one] - means[two]
            distance = np.linalg.norm(line)
            overlap = max(0.0, extent * (radii[one] + radii[two]) - distance)
            push = min(0.5 * 0.1**2 * overlap, overlap) * line / distance
            shifts[one] += push
            shifts[two] -= push
        movement = np.abs(shifts).sum() if by_feature else np.linalg.norm(shifts, axis=1).sum()
        first = first or movement
        if movement / first <= 0.5:
            break
        rows = rows + shifts[labels]
    return rows * spread


def attracted(rows: np.ndarray, labels: np.ndarray, sign: float) -> np.ndarray:
    """Return the rows after each class has moved by 0.005 of its gap to each other, towards it if the sign is 1."""
    groups = [rows[labels == number] for number in range(labels.max() + 1)]
    result = rows.copy()
    for one, own in enumerate(groups):
        for two, other in enumerate(groups):
            if one == two:
                continue
            line = other.mean(axis=0) - own.mean(axis=0)
            distance = np.linalg.norm(line)
            gap = distance - 0.6 * sum(np.sqrt(group.var(axis=0).sum()) for group in (own, other))
            result[labels == one] += sign * 0.005 * gap * line / distance
    return result


def sa(features: np.ndarray, labels: np.ndarray) -> float:
    """Nothing spreads, classes with a gap are driven apart, LDA is nearest class mean, and small features are not moved."""
    rows = narrowed(features)[:, :64]
    if max(np.exp(-5 * rows.var(axis=0)[:2].mean()), 1e-10) >= 1e-9:
        return lda(features, labels)
    return lda(attracted(rows, labels, -1.0), labels)


def sfda_shrinkage(features: np.ndarray, labels: np.ndarray) -> float:
    """Return the published shrinkage, from a power iteration with the covariance within classes; it depends on the unit."""
    scatter = within(features, labels)
    x = scatter.sum(axis=1)
    for _ in range(3):
        y = scatter @ x / np.linalg.norm(scatter @ x)
        x = scatter @ y / np.linalg.norm(scatter @ y)
    return float(max(np.exp(-5 * (x @ scatter @ y)), 1e-10))


def sfda(features: np.ndarray, labels: np.ndarray) -> float:
    """SFDA with the published shrinkage towards a sphere in all dimensions of the space."""
    features = features.astype(np.float64)
    return two_stages(features, labels, sfda_shrinkage(features, labels))


def tmi(features: np.ndarray, labels: np.ndarray) -> float:
    """Raw features, distances of at least 1, the width of the space, and a sum over classes divided by their number again."""
    total = 0.0
    for label in range(labels.max() + 1):
        rows = features[labels == label].astype(np.float64)
        distances = NearestNeighbors(n_neighbors=3, metric="chebyshev").fit(rows).kneighbors()[0][:, -1]
        entropy = digamma(len(rows)) - digamma(3) + rows.shape[1] * np.log(2 * np.maximum(distances, 1.0)).mean()
        total += len(rows) / len(labels) * entropy
    return float(total / (labels.max() + 1))


def coding_rate_gain(features: np.ndarray, labels: np.ndarray, weights: np.ndarray, unit: float) -> float:
    """Return R(F) - sum_c weights_c R(F_c) from determinants of matrices [D, D], with a squared distortion of 1e-4 `unit`."""
    features = features - features.mean(axis=0)

    def rate(rows: np.ndarray) -> float:
        inner = np.eye(rows.shape[1]) + rows.T @ rows / (len(rows) * 1e-4 * unit)
        return float(np.linalg.slogdet(inner)[1]) / 2

    return rate(features) - sum(weight * rate(features[labels == label]) for label, weight in enumerate(weights))


def transrate(features: np.ndarray, labels: np.ndarray) -> float:
    """The authors' snippet: raw features, and classes that count the same however many rows they have."""
    classes = labels.max() + 1
    return coding_rate_gain(features.astype(np.float64), labels, np.full(classes, 1 / classes), 1.0)
