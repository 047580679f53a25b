"""A table with categories and missing values
==========================================

The rents of flats, by district, month, size and age: what does a network learn of districts?

::

    python examples/categories.py

Each district is replaced by a vector of two numbers, which are trained with the rest of the network. What
they come to say of a district is compared with the two numbers that the rents were drawn from, and that the
network is never given: the rent per square metre, and what a flat costs whatever its size.
"""

import numpy as np

import fastnn as fn

DISTRICTS, MONTHS, FLATS = 40, 12, 6000
WAYS = {
    "numbers": [],  # district 7 as the number 7
    "one-hot": [fn.OneHot([0, 1])],
    "vectors": [fn.EntityEmbedding([2, 2], columns=[0, 1])],
}


def draw_flats(rng):
    """A table of flats, their rents, and what only this function knows of each district."""
    hidden = np.column_stack([rng.uniform(8, 24, DISTRICTS), rng.uniform(0, 600, DISTRICTS)])
    season = 60 * np.sin(2 * np.pi * np.arange(MONTHS) / MONTHS)
    district, month = rng.integers(0, DISTRICTS, FLATS), rng.integers(0, MONTHS, FLATS)
    size, age = rng.uniform(20, 120, FLATS), rng.uniform(0, 90, FLATS)
    rent = hidden[district, 0] * size + hidden[district, 1] + season[month] - 2 * age
    rent += rng.normal(0, 40, FLATS)
    age[rng.random(FLATS) < 0.15] = np.nan  # which nobody knows
    return np.column_stack([district, month, size, age]), rent, hidden


def explained(hidden, vectors):
    """How much of each column of `hidden` is a linear function of the vectors: R2."""
    inputs = np.column_stack([vectors, np.ones(len(vectors))])
    rest = hidden - inputs @ np.linalg.lstsq(inputs, hidden, rcond=None)[0]
    return 1 - rest.var(axis=0) / hidden.var(axis=0)


def draw(hidden, vectors, path="categories.png"):
    """The vectors of the districts, coloured by what they were never told."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    names = ["rent per square metre", "rent whatever the size"]
    pyplot.rcParams.update(fn.plot.style())
    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    for axis, name, values in zip(axes, names, hidden.T, strict=True):
        points = axis.scatter(*vectors.T, c=values, s=60, edgecolors="0.3")
        axis.set(title=f"districts, coloured by {name}", xlabel="first number", ylabel="second number")
        figure.colorbar(points, ax=axis)
    figure.savefig(path, dpi=110)
    print("wrote", path)


def main():
    """Train a network on each way to read the categories."""
    flats, rent, hidden = draw_flats(np.random.default_rng(0))
    train, test = slice(0, 5000), slice(5000, None)
    print(f"{FLATS} flats in {DISTRICTS} districts; the age of {np.isnan(flats[:, 3]).sum()} is missing")
    for name, layers in WAYS.items():
        prepare = [fn.Impute("mean", columns=[2, 3]), fn.Standardize([2, 3]), *layers]
        network = [*prepare, fn.Dense(32, "relu"), fn.Dense(1), fn.Unscale()]
        model = fn.Model(network, "mse", fn.Adam(0.01), metrics="r2", seed=0)
        model.fit(flats[train], rent[train], epochs=40, batch_size=100)
        r2 = model.evaluate(flats[test], rent[test])["r2"]
        print(f"categories as {name:8} R2 of rents not seen {r2:.3f}   {model.parameters.size:5} parameters")
    vectors = WAYS["vectors"][0].weights[0]
    metre, base = explained(hidden, vectors)
    print(
        f"the vectors of districts explain {metre:.2f} of the rent per square metre, {base:.2f} of the rest"
    )
    draw(hidden, vectors)


if __name__ == "__main__":
    main()
