"""A loss landscape
================

The loss around what a deep network has learned, with and without residual blocks.

::

    python examples/loss_landscape.py [--epochs 100] [--points 41]

H. Li, Z. Xu, G. Taylor, C. Studer, T. Goldstein, *Visualizing the loss landscape of neural nets*, NeurIPS
2018: two random directions, in which the weights of each unit are as long as those that it has learned, and
no biases. Without that, a network with large weights would look flatter than one with small ones. The picture
needs matplotlib.
"""

import argparse

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Draw the loss around two trained networks.")
parser.add_argument("--epochs", type=int, default=100)
parser.add_argument("--points", type=int, default=41, help="along each of the two directions")
options = parser.parse_args()
X, y = fn.datasets.spiral(samples=100, classes=3, seed=0)
DEPTH, WIDTH = 14, 16


def hidden(residual):
    """Fourteen hidden layers, in pairs; in blocks each pair is added to its input."""
    pairs = [[fn.Dense(WIDTH, "relu"), fn.Dense(WIDTH, "relu")] for _ in range(DEPTH // 2)]
    return [fn.Residual(pair) for pair in pairs] if residual else sum(pairs, [])


def dense_layers(layers):
    """All dense layers, those inside of blocks too."""
    for layer in layers:
        yield from dense_layers(layer.body.layers) if isinstance(layer, fn.Residual) else [layer]


# %%
# The weights of a unit are a column. A direction is a random matrix for each layer, of which each column is
# scaled to the length of the layer's own.
def direction(weights, rng):
    """Random matrices with columns as long as those of the weights."""
    found = []
    for w in weights:
        d = rng.standard_normal(w.shape)
        found.append(d * np.linalg.norm(w, axis=0) / np.linalg.norm(d, axis=0))
    return found


def landscape(model, steps):
    """The loss at each pair of steps along two directions, of shape (steps, steps)."""
    rng, layers = np.random.default_rng(0), list(dense_layers(model.layers))
    learned = [layer.weights.copy() for layer in layers]
    one, two = direction(learned, rng), direction(learned, rng)
    losses = np.empty((len(steps), len(steps)))
    for (i, j), _ in np.ndenumerate(losses):
        for layer, w, a, b in zip(layers, learned, one, two, strict=True):
            layer.weights = w + steps[j] * a + steps[i] * b
        losses[i, j] = model.evaluate(X, y)["loss"]
    return losses


# %%
# Both networks are trained from the same seed. The loss is drawn on a logarithmic scale.
steps, losses = np.linspace(-1, 1, options.points), {}
for name, residual in (("in a row", False), ("residual blocks", True)):
    layers = [fn.Dense(WIDTH), *hidden(residual), fn.Dense(3)]
    model = fn.Model(layers, "cross_entropy", fn.Adam(2e-3, global_clipnorm=1.0), seed=1)
    model.fit(X, y, epochs=options.epochs, batch_size=25, verbose=0)
    result = model.evaluate(X, y)
    losses[name] = landscape(model, steps)
    print(f"{name:16} loss {result['loss']:.3f}, accuracy {result['accuracy']:.1%}, ", end="")
    print(f"at the edge of the picture from {losses[name][0].min():.2f} to {losses[name][0].max():.2f}")

# %%
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, 2, figsize=(10, 5), layout="constrained", sharey=True)
levels = np.linspace(-2, 2, 17)
for axes, (name, found) in zip(panels, losses.items(), strict=True):
    logarithm = np.log10(np.maximum(found, 1e-4))
    filled = axes.contourf(steps, steps, logarithm, levels, cmap="viridis", extend="both")
    axes.contour(steps, steps, logarithm, levels, colors="white", linewidths=0.3)
    axes.plot(0, 0, "+", color="white", markersize=10)
    axes.set(
        title=f"{DEPTH} hidden layers, {name}", xlabel="first direction", aspect="equal", xticks=range(-1, 2)
    )
panels[0].set_ylabel("second direction")
figure.colorbar(filled, ax=panels, label="logarithm (base 10) of the loss")
figure.savefig("loss_landscape.png", dpi=120)
print("loss_landscape.png")
