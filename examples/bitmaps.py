"""Read the digits zero to three from bitmaps of 4 x 5 pixels, and then read them with spots on.

    python examples/bitmaps.py

The network has one output, the digit itself on a scale from 0 to 1, and is trained by plain gradient descent
on the sum of squared errors of all four bitmaps at once.
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

# Turn each pixel of each bitmap over in turn: 80 pictures that the network has not seen.
spotted = np.array([np.abs(bitmap - spot) for bitmap in bitmaps for spot in np.eye(20)])
right = np.round(read(spotted)) == np.repeat(digits[:, 0], 20)
print(f"\nWith one wrong pixel it still reads {right.sum()} of {len(right)}.")
