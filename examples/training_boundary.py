"""A decision boundary while it trains
===================================

An animation: the regions that a network gives to three spirals, from its first weights to its last.

::

    python examples/training_boundary.py [--frames 36] [--epochs 3]

The network is trained for some epochs, its weights are kept, and so on. It needs matplotlib.
"""

import argparse

import matplotlib.pyplot as plt
from matplotlib.animation import FuncAnimation, PillowWriter

import fastnn as fn

parser = argparse.ArgumentParser(description="Draw a decision boundary while it trains.")
parser.add_argument("--frames", type=int, default=36)
parser.add_argument("--epochs", type=int, default=3, help="between two frames")
options = parser.parse_args()

# %%
# A model keeps the state of its optimizer from one call of `fit` to the next, so the pieces are one training.
X, y = fn.datasets.spiral(100, 3, seed=0)
layers = [fn.Dense(32, "tanh"), fn.Dense(32, "tanh"), fn.Dense(3)]
model = fn.Model(layers, "cross_entropy", fn.Adam(0.01), seed=0).build(2)
kept = [model.parameters.copy()]
for _ in range(options.frames - 1):
    model.fit(X, y, epochs=options.epochs, batch_size=32, verbose=0)
    kept.append(model.parameters.copy())
print(
    f"accuracy after {options.epochs * (options.frames - 1)} epochs: {model.evaluate(X, y)['accuracy']:.1%}"
)

# %%
# For each frame the weights of that time are put back.
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(figsize=(5.6, 4.4), layout="constrained")


def draw(frame):
    """Draw the regions as they were."""
    model.parameters[...] = kept[frame]
    axes.clear()
    fn.plot.decision_boundary(model, X, y, resolution=100, ax=axes)
    axes.set_title(f"epoch {frame * options.epochs}: {model.evaluate(X, y)['accuracy']:.1%} right")


animation = FuncAnimation(figure, draw, frames=len(kept), interval=120, repeat=False)
animation.save("training_boundary.gif", PillowWriter(fps=8), dpi=80)
figure.savefig("training_boundary.png", dpi=120)  # the last frame
print("training_boundary.gif, training_boundary.png")
