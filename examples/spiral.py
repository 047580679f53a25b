"""Three spirals
=============

One class each: a network learns regions that no straight line could bound.

::

    python examples/spiral.py [--epochs 200]

It draws them in letters; the picture needs matplotlib.
"""

import argparse

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Learn to tell three spirals apart.")
parser.add_argument("--epochs", type=int, default=200)
epochs = parser.parse_args().epochs

X, y = fn.datasets.spiral(samples=100, classes=3, seed=0)

model = fn.Model(
    [fn.Dense(64, "relu"), fn.Dense(64, "relu"), fn.Dense(3)],
    loss="cross_entropy",
    optimizer=fn.Adam(0.01),
    seed=0,
)
model.fit(X, y, epochs=epochs, batch_size=32)
model.summary()
print(f"accuracy after {epochs} epochs: {model.evaluate(X, y)['accuracy']:.1%}\n")

# %%
# Ask the network about a grid of points: the largest of the three logits is its answer. A letter is a point
# of the data, a dot, a comma or a blank what the network says of the places where it saw none.
width, height = 72, 32
columns, rows = np.linspace(-1.1, 1.1, width), np.linspace(1.1, -1.1, height)
grid = np.array([(column, row) for row in rows for column in columns])
answers = model.predict(grid).argmax(axis=1).reshape(height, width)
picture = np.array([".", ",", " "])[answers]
for (horizontal, vertical), label in zip(X, y, strict=True):
    picture[np.abs(rows - vertical).argmin(), np.abs(columns - horizontal).argmin()] = "ABC"[label]
print("\n".join("".join(line) for line in picture))

# %%
# The same in colours.
try:
    import matplotlib  # noqa: F401
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
axes = fn.plot.decision_boundary(model, X, y)
axes.set_aspect("equal")
axes.figure.savefig("spiral.png", dpi=120)
