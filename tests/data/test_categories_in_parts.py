"""Categories of data that come batch by batch: those of all batches, as of one array."""

import numpy as np
import pandas as pd
import pytest

import fastnn as fn

rng = np.random.default_rng(0)
N = 300
PLACE = np.arange(N)
FRAME = pd.DataFrame(
    {
        "size": rng.normal(size=N),
        "town": np.array(["Ulm", "Basel", "Bonn"])[PLACE // 100],  # no batch has all of them
        "kind": np.array(["x", "y"])[PLACE // 150],
        "id": PLACE // 50 * 10**9,  # some that float32 holds, and some that it does not
    }
)
Y = FRAME["size"].to_numpy()
W = (PLACE > 30).astype(float)  # the first batch does not count


class Batches:
    def __init__(self, *arrays, size=30):
        self.arrays, self.size = arrays, size

    def __iter__(self):
        for start in range(0, N, self.size):
            yield tuple(of[start : start + self.size] for of in self.arrays)


def make(*layers):
    return fn.Model([*layers, fn.Dense(4, "tanh"), fn.Dense(1)], loss="mse", seed=0)


@pytest.mark.parametrize("X", [FRAME, FRAME.to_numpy(object)], ids=["table", "array"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "layers",
    [
        lambda: [
            fn.OneHot(1),
            fn.OneHot([4, 5]),
            fn.Standardize(0),
        ],  # the second is behind three new columns
        lambda: [fn.EntityEmbedding(columns=[1, 2, 3])],
    ],
    ids=["OneHot", "EntityEmbedding"],
)
def test_the_same_bits_as_of_arrays(X, weighted, layers):
    one, other, adapted = (make(*layers()) for _ in range(3))
    weight = {"sample_weight": W} if weighted else {}
    arrays = [X, Y, *weight.values()]
    one.fit(X, Y, shuffle=False, batch_size=30, epochs=2, **weight)
    other.fit(Batches(*arrays), epochs=2)
    adapted.adapt(Batches(*arrays))
    adapted.fit(Batches(*arrays), epochs=2, validation_data=Batches(X, Y, size=75))
    for model in (other, adapted):
        assert model.parameters.tobytes() == one.parameters.tobytes()
        for mine, its in zip(one.layers, model.layers, strict=True):
            if hasattr(mine, "categories"):
                assert [of.tolist() for of in its.categories] == [of.tolist() for of in mine.categories]
    np.testing.assert_allclose(other.evaluate(Batches(X, Y))["loss"], one.evaluate(X, Y)["loss"], rtol=1e-6)


def test_what_cannot_be_coded_is_named():
    mixed = FRAME.astype({"town": object})
    mixed.loc[90:, "town"] = 7
    missing = FRAME.copy()
    missing.loc[215, "town"] = None
    cases = [
        (
            mixed,
            Batches,
            TypeError,
            "batch 3: X must hold integers or text .* got 'Ulm' in .* and 7 in another",
        ),
        (missing, Batches, TypeError, r"batch 7: X must hold .* nan .* at \(5, 1\), column 'town'"),
        (
            FRAME,
            lambda *arrays: iter(Batches(*arrays)),
            ValueError,
            "can be gone through once; call model.adapt",
        ),
    ]
    for X, kind, error, message in cases:
        model = make(fn.OneHot([1, 2]))
        with pytest.raises(error, match=message):
            model.fit(kind(X, Y))
        assert not model.layers[0].adapted
    model = make(fn.OneHot([1, 2]))
    few = [(FRAME[:50], Y[:50])]
    with pytest.raises(ValueError, match="validation batch 0: X has the unknown category 'Basel'"):
        model.fit(few, validation_data=[(FRAME[90:], Y[90:])])
    with pytest.raises(TypeError, match=r"must be numbers, got .*'Ulm'.* column 'town'; fn.OneHot\(1\) or"):
        make().fit(few)
