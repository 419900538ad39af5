"""The matrix-normal model, compared with the joint normal distribution of all cells."""

import numpy as np

from benchmarks.matrix_normal import fill

PRIOR = np.array([[1.0, 0.6, 0.1], [0.6, 1.0, 0.2], [0.1, 0.2, 1.0]])
RELATION = np.array([[2.0, 1.0], [1.0, 2.0]])


def test_a_new_column_has_the_conditional_mean_of_the_joint_normal_distribution() -> None:
    values = np.array([[0.5, -0.2], [1.0, 0.3], [-0.4, 0.1]])
    related = np.array([1.0, 1.5])
    mean, covariance = fill(values, PRIOR, RELATION, 1e12).predict(related, 2.5)
    joint = np.kron(RELATION, PRIOR)
    cross = np.kron(related[None, :], PRIOR)
    assert np.allclose(mean, cross @ np.linalg.solve(joint, values.T.ravel()))
    assert np.allclose(covariance, 2.5 * PRIOR - cross @ np.linalg.solve(joint, cross.T))


def test_a_gap_gets_the_conditional_mean_of_all_other_cells() -> None:
    values = np.array([[0.5, -0.2], [1.0, np.nan], [-0.4, 0.1]])
    filled = fill(values, PRIOR, RELATION, 1e12).values
    joint = np.kron(RELATION, PRIOR)
    known = np.isfinite(values.T.ravel())
    expected = joint[~known][:, known] @ np.linalg.solve(joint[known][:, known], values.T.ravel()[known])
    assert np.allclose(filled[1, 1], expected)
    assert np.array_equal(filled[np.isfinite(values)], values[np.isfinite(values)])


def test_records_move_the_covariance_of_the_models_away_from_the_prior() -> None:
    together = np.random.default_rng(0).normal(size=(1, 40)) * np.array([[1.0], [0.0], [1.0]])
    covariance = fill(together, PRIOR, np.eye(40), 4.0).row_covariance()
    assert covariance[0, 2] > 0.5 > PRIOR[0, 2]
