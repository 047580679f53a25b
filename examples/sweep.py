"""64 networks at once
===================

Which width and which learning rate read handwritten digits best? All of them are trained in one call.

::

    python examples/sweep.py [--epochs 15]
"""

import argparse
import time

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Train 64 networks at once.")
parser.add_argument("--epochs", type=int, default=15)
epochs = parser.parse_args().epochs

X, y = fn.datasets.digits()
order = np.random.default_rng(0).permutation(len(X))
X, y = X[order] / 16, y[order]
train, held_out = (X[:1200], y[:1200]), (X[1200:], y[1200:])

widths = [4, 8, 12, 16, 24, 32, 64, 128]
rates = np.geomspace(1e-4, 0.3, 8)
models = [
    fn.Model([fn.Dense(width, "relu"), fn.Dense(10)], "cross_entropy", fn.Adam(rate), seed=0)
    for width in widths
    for rate in rates
]
start = time.perf_counter()
histories = fn.fit_many(models, *train, epochs=epochs, validation_data=held_out)
seconds = time.perf_counter() - start

curves = np.array([history.history["val_accuracy"] for history in histories])  # (64, epochs)
accuracy = curves[:, -1].reshape(len(widths), len(rates))
print(f"{len(models)} networks, {epochs} epochs each, in {seconds:.2f} s")
print("width   accuracy at each learning rate")
print("       ", *(f"{rate:7.1e}" for rate in rates))
for width, row in zip(widths, accuracy, strict=True):
    print(f"{width:5}  ", *(f"{share:7.1%}" for share in row))
best = np.argsort(curves[:, -1])[-5:]
ensemble = fn.Ensemble([models[i] for i in best], combine="probabilities")
print(f"the best alone {curves[best[-1], -1]:.1%}, ", end="")
print(f"the best five together {ensemble.evaluate(*held_out)['accuracy']:.1%}")

# %%
# Left all networks, right the learning curves of one width.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure = plt.figure(figsize=(10, 4.4), layout="constrained")
table, lines = figure.subplots(1, 2, width_ratios=[1.4, 1])
image = table.imshow(accuracy, cmap="viridis", origin="lower", aspect="auto", vmin=0.5, vmax=1)
for (i, j), share in np.ndenumerate(accuracy):
    colour = "black" if share > 0.71 else "white"
    table.text(j, i, f"{100 * share:.0f}", ha="center", va="center", color=colour, fontsize=9)
table.set_xticks(range(len(rates)), [f"{rate:.1g}" for rate in rates], rotation=30)
table.set_yticks(range(len(widths)), widths)
table.set(xlabel="learning rate", ylabel="hidden units", title="held-out accuracy, %")
figure.colorbar(image, ax=table, extend="min", format="{x:.0%}")
for j, rate in enumerate(rates):
    curve, colour = curves[5 * len(rates) + j], image.cmap(0.8 * j / len(rates))
    lines.plot(range(1, epochs + 1), curve, color=colour, marker="osD^vPX*"[j], label=f"{rate:.1g}")
lines.set(xlabel="epoch", title=f"{widths[5]} hidden units, by learning rate", ylim=(0, 1))
lines.yaxis.set_major_formatter("{x:.0%}")
lines.legend(title="learning rate", loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
figure.savefig("sweep.png", dpi=150)
print("The picture is in sweep.png.")
