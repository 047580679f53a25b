"""Targets that do not suit the loss, and weights that do not make sense; nothing has changed.

What is no array of finite numbers, and of the right shape, is in `tests/guarantees/test_bad_arguments.py`.
"""

import numpy as np
import pytest

from tests.helpers.rejections import LABELS, VALUES, N, X, changed, network, refused, trained

METHODS = ["evaluate", "loss_and_gradient", "fit", "partial_fit"]

# --- targets: loss, outputs, y, error, piece of the message

TARGETS = {
    "few columns": ("mse", 3, LABELS, ValueError, "(6,)"),
    "many columns": ("mse", 1, VALUES, ValueError, "(6, 3)"),
    "turned": ("mse", 1, np.ones((1, N)), ValueError, "(1, 6)"),
    "label too large": ("cross_entropy", 3, [0, 1, 2, 3, 0, 1], ValueError, "got 3"),
    "label negative": ("nll", 3, [0, 1, 2, -1, 0, 1], ValueError, "got -1"),
    "label fractional": ("cross_entropy", 3, [0, 1, 2, 0.5, 0, 1], ValueError, "got 0.5"),
    "label in a column": ("nll", 3, [[0], [1], [2], [7], [0], [1]], ValueError, "got 7"),
    "two of three shares": ("cross_entropy", 3, np.ones((N, 2)), ValueError, "(6, 2)"),
    "one output": ("cross_entropy", 1, LABELS * 0, ValueError, "cross_entropy"),
    "one output of nll": ("nll", 1, LABELS * 0, ValueError, "nll"),
    "share too large": ("cross_entropy", 3, changed(VALUES * 0, (1, 1), 1.25), ValueError, "1.25"),
    "share negative": ("nll", 3, changed(VALUES * 0, (1, 1), -0.25), ValueError, "-0.25"),
    "bit too large": ("binary_cross_entropy", 1, LABELS, ValueError, "got 2"),
    "bit negative": ("binary_cross_entropy", 1, LABELS / -2, ValueError, "got -1"),
    "count negative": ("poisson", 1, LABELS - 2, ValueError, "got -2"),
}


@pytest.mark.filterwarnings("ignore:the last activation does not fit")
@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("loss", "n_out", "y", "error", "piece"), TARGETS.values(), ids=TARGETS)
def test_targets(loss, n_out, y, error, piece, name, make):
    if n_out == 1 and loss in ("cross_entropy", "nll"):
        make = network  # there is nothing it could have been trained on
    model = make(loss=loss, n_out=n_out)
    refused(model, lambda: getattr(model, name)(X, y), error, piece)


# --- weights

WEIGHTS = {
    "negative": (changed(np.ones(N), 2, -0.5), ValueError, "-0.5"),
    "zeros": (np.zeros(N), ValueError, "zero"),
}


@pytest.mark.parametrize("make", [network, trained])
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("weight", "error", "piece"), WEIGHTS.values(), ids=WEIGHTS)
def test_sample_weights(weight, error, piece, name, make):
    model = make()
    method = getattr(model, name)
    refused(model, lambda: method(X, LABELS, sample_weight=weight), error, piece)
