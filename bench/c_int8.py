"""What weights of 8 bits change, with and without calibration: ``python -m bench.c_int8``.

Of trained networks, for samples that neither the training nor the calibration has seen: the error of the
outputs (root mean square, relative to that of the outputs), the accuracy, and the bytes of the weights in a C
file.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import fastnn as fn
from fastnn.c.calibration import calibrated
from fastnn.c.quantize import quantized


def networks() -> dict[str, tuple[fn.Model, Any, Any]]:
    """Models that are not trained yet, with inputs and targets in random order."""
    X, y = fn.datasets.digits()
    points, arms = fn.datasets.spiral(400, seed=0)
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(3000, 8)) @ rng.normal(size=(8, 8))
    values = np.sin(inputs[:, :1]) + 0.3 * inputs[:, 1:2] * inputs[:, 2:3] + abs(inputs[:, 3:4])
    wide = [fn.MinMax(), fn.Dense(256, "relu"), fn.Dense(128, "relu"), fn.Dense(10)]
    images = [fn.Conv2D(16, 3, padding="same", activation="relu"), fn.MaxPooling2D(2)]
    images += [fn.Conv2D(32, 3, activation="relu"), fn.Flatten(), fn.Dense(10)]
    tanh = [fn.Dense(64, "tanh"), fn.Dense(64, "tanh"), fn.Dense(3)]
    gelu = [fn.Standardize(), fn.Dense(64, "gelu"), fn.Dense(64, "gelu"), fn.Dense(1)]
    adam = fn.Adam(0.005)
    found = {
        "digits, dense": (fn.Model(wide, "cross_entropy", seed=0), X, y),
        "digits, conv": (fn.Model(images, "cross_entropy", seed=0), X.reshape(-1, 8, 8, 1) / 16, y),
        "spiral": (fn.Model(tanh, "cross_entropy", optimizer=adam, seed=0), points, arms),
        "regression": (fn.Model(gelu, "mse", optimizer=adam, seed=0), inputs, values),
    }
    orders = {name: rng.permutation(len(X)) for name, (_, X, _) in found.items()}
    return {name: (model, X[orders[name]], y[orders[name]]) for name, (model, X, y) in found.items()}


def size(model: fn.Model, **options: Any) -> int:
    """Bytes of the weights in a C file."""
    with tempfile.TemporaryDirectory() as folder:
        return model.to_c(Path(folder) / "network.h", **options).weights


def main() -> None:
    """Print a table."""
    print(f"{'':<15} {'weights':>11} {'bytes':>8} {'error':>9} {'accuracy':>9}")
    for name, (model, X, y) in networks().items():
        n = len(X) * 3 // 4
        model.fit(X[:n], y[:n], epochs=50, batch_size=32, verbose=0)
        rows = {
            "as trained": (model, size(model)),
            "int8": (quantized(model), size(model, quantize="int8")),
            "calibrated": (calibrated(model, X[:n]), size(model, quantize="int8", calibration=X[:n])),
        }
        exact = np.float64(model.predict(X[n:]))
        for weights, (other, n_bytes) in rows.items():
            outputs = other.predict(X[n:])
            error = np.sqrt(np.square(outputs - exact).mean() / np.square(exact).mean())
            right = f"{np.mean(outputs.argmax(1) == y[n:]):9.4f}" if y.ndim == 1 else ""
            print(f"{name:<15} {weights:>11} {n_bytes:8} {error:9.1e} {right}")


if __name__ == "__main__":
    main()
