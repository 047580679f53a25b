"""Four digits of 4 x 5 pixels
===========================

A network learns to read the digits zero to three from bitmaps of 4 x 5 pixels, and then reads them with spots
on.

::

    python examples/bitmaps.py

It has one output, the digit itself on a scale from 0 to 1, and is trained by plain gradient descent
on the sum of squared errors of all four bitmaps at once. The picture needs matplotlib.
"""

import numpy as np

import fastnn as fn

PICTURES = """
.##.  ..#.  .##.  ####
#..#  ..#.  #..#  ...#
#..#  ..#.  ..#.  .###
#..#  ..#.  .#..  ...#
.##.  ..#.  ####  ####
"""

lines = [line.split() for line in PICTURES.split("\n") if line]
digits = np.array([[0], [1], [2], [3]])
bitmaps = np.array([[pixel == "#" for line in lines for pixel in line[i]] for i in range(4)], dtype=float)

model = fn.Model(
    [fn.Dense(20, "sigmoid", use_bias=False), fn.Dense(1, "sigmoid", use_bias=False)],
    loss="sse",
    optimizer=fn.SGD(0.5),
    seed=0,
)
model.fit(bitmaps, digits / 3, epochs=2000, batch_size=None)


def read(pictures):
    """Return the digit that the network sees in each bitmap, not rounded."""
    return 3 * model.predict(pictures)[:, 0]


print(PICTURES)
for digit, answer in zip(digits[:, 0], read(bitmaps), strict=True):
    print(f"bitmap of {digit}: the network says {answer:.2f}, so {answer:.0f}")

# %%
# Turn each pixel of each bitmap over in turn: 80 pictures that the network has not seen.
spotted = np.array([np.abs(bitmap - spot) for bitmap in bitmaps for spot in np.eye(20)])
right = np.round(read(spotted)) == np.repeat(digits[:, 0], 20)
print(f"\nWith one wrong pixel it still reads {right.sum()} of {len(right)}.")

# %%
# A bitmap for each digit, and what the network says of it with each pixel turned over in turn.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, panels = plt.subplots(2, 4, figsize=(8, 4.6), layout="constrained")
answers = read(spotted).reshape(4, 5, 4)
for digit, (top, bottom) in enumerate(panels.T):
    top.imshow(bitmaps[digit].reshape(5, 4), cmap="gray_r")
    top.set(title=f"{digit}, read as {read(bitmaps)[digit]:.2f}", xticks=[], yticks=[])
    bottom.imshow(answers[digit], cmap="viridis", vmin=0, vmax=3)
    bottom.set(xticks=[], yticks=[])
    for (i, j), answer in np.ndenumerate(answers[digit]):
        colour = "black" if answer > 1.25 else "white"
        bottom.text(j, i, f"{answer:.1f}", ha="center", va="center", color=colour, fontsize=9)
panels[1, 0].set_ylabel("read, with this\npixel turned over")
figure.savefig("bitmaps.png", dpi=120)
print("bitmaps.png")
