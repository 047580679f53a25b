"""LeNet-5 on the files of MNIST
=============================

MNIST is read from its four files in a folder; nothing is downloaded.

::

    python examples/mnist.py FOLDER [--epochs 10] [--batch 128]

Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, *Gradient-based learning applied to document recognition*, 1998.
Any data set of the same form will do, such as Fashion-MNIST. On the site the files hold the small digits that
fastnn brings along, enlarged.
"""

import argparse
import time

import numpy as np

import fastnn as fn

parser = argparse.ArgumentParser(description="Train LeNet-5 on MNIST.")
parser.add_argument("folder", help="where train-images-idx3-ubyte and the other three are")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--batch", type=int, default=128)
options = parser.parse_args()

(X, y), test = fn.datasets.mnist(options.folder)
print(f"{len(X)} pictures of shape {X.shape[1:]} to learn from, {len(test[0])} to test on")

steps = options.epochs * -(-len(X) // options.batch)
model = fn.Model(
    [
        fn.Conv2D(6, 5, activation="relu"),
        fn.MaxPooling2D(2),
        fn.Conv2D(16, 5, activation="relu"),
        fn.MaxPooling2D(2),
        fn.Flatten(),
        fn.Dense(120, "relu"),
        fn.Dense(84, "relu"),
        fn.Dense(int(np.max(y)) + 1),
    ],
    loss="cross_entropy",
    optimizer=fn.Adam(fn.schedules.cosine(2e-3, steps=steps)),
    seed=0,
)
model.build(X.shape[1:])
model.summary()

start = time.perf_counter()
model.fit(X, y, epochs=options.epochs, batch_size=options.batch, validation_data=test, verbose=2)
print(f"{options.epochs} epochs in {time.perf_counter() - start:.1f} s")
print(f"accuracy on the test set: {model.evaluate(*test)['accuracy']:.2%}")

model.save("lenet5.safetensors")
print("lenet5.safetensors")

try:
    import matplotlib  # noqa: F401
except ImportError:
    print("For a picture of the mistakes, install matplotlib.")
else:
    read = model.predict_class(test[0])
    wrong = np.flatnonzero(read != test[1])[:24]
    if wrong.size:
        titles = [f"{test[1][i]} read as {read[i]}" for i in wrong]
        axes = fn.plot.images(test[0][wrong], titles=titles)
        axes[0].figure.savefig("mistakes.png", dpi=150)
        print("mistakes.png")
