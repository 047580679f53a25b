"""What a network sees
===================

Which pixels of a handwritten digit a network looks at, what it takes for a digit, and what misleads it.

A program with cells (# %%), which notebooks and editors run one by one. It needs matplotlib.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import fastnn as fn

X, y = fn.datasets.digits()
X = X.reshape(-1, 8, 8, 1) / 16
train, test = slice(0, 1348), slice(1348, None)
layers = [
    fn.Conv2D(16, 3, activation="relu"),
    fn.Conv2D(32, 3, activation="relu"),
    fn.Flatten(),
    fn.Dropout(0.3),
    fn.Dense(10),
]
model = fn.Model(layers, loss="cross_entropy", seed=0)
model.fit(X[train], y[train], epochs=30)
print(f"accuracy on digits it has not seen: {model.evaluate(X[test], y[test])['accuracy']:.3f}")

# %%
# Three ways to ask which pixels speak for the digit that the network reads, and which against it.
digit = X[test][1]
read = int(model.predict_class(digit))
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(1, 3, figsize=(9.5, 3), layout="constrained")
ways = {
    "saliency": fn.explain.saliency(model, digit),
    "integrated gradients": fn.explain.integrated_gradients(model, digit),
    "occlusion, 2 x 2 pixels": fn.explain.occlusion(model, digit, window=2),
}
for panel, (way, values) in zip(panels, ways.items(), strict=True):
    fn.plot.attribution(values, digit, ax=panel).set_title(way)
figure.suptitle(f"Why the network reads a {read}")
figure.savefig("attribution.png", dpi=150)
contributions = ways["integrated gradients"].sum()
difference = model.predict(digit)[read] - model.predict(np.zeros_like(digit))[read]
print(f"the contributions sum up to {contributions:.2f}, the outputs differ by {difference:.2f}")
print("attribution.png")

# %%
# Pictures that excite each output most; and what a dream makes of one digit.
ideal = fn.explain.activation_maximization(
    model, -1, list(range(10)), total_variation=0.5, l2=0.2, low=0, high=1, seed=0
)
print(f"read as digits, these are {model.predict_class(ideal).tolist()}")
dream = fn.explain.dream(model, digit, layer=1, octaves=3, steps=6, low=0, high=1)
pictures = np.concatenate([ideal, digit[np.newaxis], dream[np.newaxis]])
axes = fn.plot.images(pictures, titles=[*map(str, range(10)), "a digit", "a dream"], columns=6)
axes[0].figure.savefig("excites.png", dpi=150)
print("excites.png")

# %%
# A small change of each pixel, the worst that can be found, misleads the network.
for epsilon in (0.05, 0.1, 0.2):
    changed = fn.explain.adversarial(model, X[test], y[test], epsilon, low=0, high=1)
    print(f"pixels changed by {epsilon:.2f}: accuracy {model.evaluate(changed, y[test])['accuracy']:.3f}")
few = changed[:8]
axes = fn.plot.images(
    few,
    titles=[f"{a} read as {b}" for a, b in zip(y[test][:8], model.predict_class(few), strict=True)],
    columns=4,
)
axes[0].figure.savefig("adversarial.png", dpi=150)
print("adversarial.png")
