"""The comparison itself: its data, its check of the peers, its ratios."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench import compare, peers
from bench.peers import numpy_peer
from bench.workloads import WORKLOADS, Workload, loss_of, make_data, make_weights


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS)
def test_data_and_weights_are_the_same_in_every_call(workload):
    X, y = make_data(workload)
    again, labels = make_data(workload)
    np.testing.assert_array_equal(X, again)
    np.testing.assert_array_equal(y, labels)
    assert X.shape == (workload.samples, *workload.sample_shape)
    assert X.dtype == workload.dtype
    if workload.loss == "cross_entropy":
        assert set(y) == set(range(workload.widths[-1]))
    else:
        assert y.shape == (workload.samples, workload.widths[-1])
    for (kernel, _), (same, _) in zip(make_weights(workload), make_weights(workload), strict=True):
        np.testing.assert_array_equal(kernel, same)


def test_batch_must_divide_the_samples():
    with pytest.raises(ValueError, match="batch 32 does not divide 100"):
        replace(WORKLOADS["digits"], samples=100)


@pytest.mark.parametrize("name", peers.installed())
def test_peers_agree_in_float64(name):
    trainer = peers.installed()[name]
    for workload in (
        WORKLOADS["spiral"],
        WORKLOADS["full-batch"],
        WORKLOADS["residual"],
        WORKLOADS["categories"],
        replace(WORKLOADS["gru"], samples=640),
        replace(WORKLOADS["lenet-5"], samples=256),
        WORKLOADS["series"],
    ):
        workload = replace(workload, dtype="float64")
        if trainer.nearest(workload) is None:
            continue
        for shuffle in (False, True):
            loss = compare.trained_loss(trainer, workload, None, shuffle)
            expected = compare.expected_loss(workload, shuffle)
            # scikit-learn adds its epsilon before the bias of Adam's second moment is taken off.
            assert loss == pytest.approx(expected, rel=0.1 if shuffle else 1e-5)
        assert all(
            array.dtype == "float64" for layer in trainer_weights(trainer, workload) for array in layer
        )


def trainer_weights(trainer, workload):
    X, y = make_data(workload)
    return trainer(workload, X, y, make_weights(workload)).weights()


class Frozen(numpy_peer.Trainer):
    """A peer that does nothing."""

    def run(self, epochs):
        pass


class Hasty(numpy_peer.Trainer):
    """A peer that leaves out every other step."""

    def run(self, epochs):
        super().run(epochs // 2)


class Overflowing(numpy_peer.Trainer):
    """A peer that ends in NaN."""

    def weights(self):
        return [(kernel * np.nan, bias) for kernel, bias in super().weights()]


@pytest.mark.parametrize("broken", [Frozen, Hasty, Overflowing])
@pytest.mark.parametrize("name", ["xor", "spiral"])
def test_broken_peer_is_found(broken, name):
    assert "broken reaches loss" in compare.check("broken", broken, WORKLOADS[name], None)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize(
    ("activation", "output", "loss"),
    [("tanh", "sigmoid", "mse"), ("sigmoid", "tanh", "mse"), ("relu", "identity", "cross_entropy")],
)
def test_numpy_descends_on_the_loss(activation, output, loss, optimizer):
    """One step of NumPy's in float64 against central differences of `loss_of`."""
    rate = 1e-3
    workload = Workload("", (3, 5, 2), activation, output, None, optimizer, rate, loss, 6, "float64")
    (X, y), weights = make_data(workload), make_weights(workload)
    trainee = numpy_peer.Trainer(workload, X, y, weights)
    trainee.run(1)
    h = 1e-6
    for layer, after in zip(weights, trainee.weights(), strict=True):
        for array, moved in zip(layer, after, strict=True):
            before = array.copy()
            gradient = np.zeros_like(array)
            for index in np.ndindex(array.shape):
                array[index] = before[index] + h
                upper = loss_of(workload, weights, X, y)
                array[index] = before[index] - h
                gradient[index] = (upper - loss_of(workload, weights, X, y)) / (2 * h)
                array[index] = before[index]
            # Adam's first step is the sign of the gradient, softened by epsilon.
            step = gradient if optimizer == "sgd" else gradient / (np.abs(gradient) + 1e-8)
            np.testing.assert_allclose(moved, before - rate * step, rtol=0, atol=1e-8)


def test_ratio_is_taken_within_each_round():
    workload = WORKLOADS["xor"]
    slow = compare.Run("slow", None, workload, None, times=[2.0, 40.0, 3.0])
    fast = compare.Run("fast", None, workload, None, times=[1.0, 20.0, 1.0])
    assert compare.ratio(slow, fast) == 2.0


@pytest.mark.parametrize(
    ("value", "text"), [(0.0654, "0.0654"), (1.234, "1.23"), (56.78, "56.8"), (12345.6, "12346")]
)
def test_number_has_three_digits(value, text):
    assert compare.number(value) == text


def test_unknown_workload_is_refused(capsys):
    with pytest.raises(SystemExit):
        compare.arguments(["--workloads", "xor,nonsense"])
    assert "unknown workload nonsense" in capsys.readouterr().err


def test_missing_peer_is_named(monkeypatch):
    monkeypatch.setitem(peers.PACKAGES, "Nonesuch", "no_such_package")
    assert "Nonesuch" in peers.missing()
    assert "Nonesuch" not in peers.installed()


def test_comparison_starts_again_without_what_slows_a_peer(monkeypatch):
    calls = []
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setattr(compare.subprocess, "call", lambda command, env: calls.append((command, env)) or 3)
    assert compare.main(["--workloads", "xor"]) == 3
    ((command, environment),) = calls
    assert command[1:] == ["-m", "bench.compare", "--workloads", "xor"]
    assert not set(compare.HANDICAPS) & set(environment)
    assert environment["PATH"] == compare.os.environ["PATH"]
