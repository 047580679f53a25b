"""Write the files of this version of fastnn that later versions must load.

``python tools/make_version_fixtures.py`` writes into ``tests/fixtures`` a model as saved
with its training state, the same model pickled, and what it predicts.
Run once when a version is released, with the oldest NumPy that is supported, whose pickles all can read.
"""

import pickle
from pathlib import Path

import numpy as np

import fastnn as fn

DATA = Path(__file__).parents[1] / "tests" / "fixtures"


def model_and_data():
    """A network with a layer of each kind, in the midst of a training."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 4))
    X[:, 3] = np.arange(60) % 3
    y = (X[:, 0] + X[:, 3] > 1).astype(int)
    layers = [
        fn.Standardize([0, 1]),
        fn.OneHot(3),
        fn.Dense(7, fn.activations.leaky_relu(0.2), l2=1e-3),
        fn.Dropout(0.2),
        fn.Dense(5, use_bias=False),
        fn.Activation("tanh"),
        fn.Dense(2),
    ]
    optimizer = fn.Adam(fn.schedules.cosine(0.02, steps=100, warmup=5), global_clipnorm=1.0)
    model = fn.Model(layers, fn.losses.cross_entropy(label_smoothing=0.1), optimizer, ["accuracy"], seed=3)
    model.fit(X, y, epochs=3, batch_size=16, verbose=0)
    return model, X, y


def main():
    """Write the three files."""
    model, X, y = model_and_data()
    name = f"version_{fn.__version__}"
    model.save(DATA / f"{name}.safetensors", training=True)
    (DATA / f"{name}.pickle").write_bytes(pickle.dumps(model, protocol=4))
    predictions = model.predict(X)
    history = model.fit(X, y, epochs=2, batch_size=16, verbose=0)
    arrays = {"X": X, "y": y, "predictions": predictions, "later": model.predict(X)}
    np.savez(DATA / f"{name}.npz", **arrays, losses=history.history["loss"])


if __name__ == "__main__":
    main()
