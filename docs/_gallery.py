"""How the gallery of the site runs the examples: their arguments, and texts for their pictures."""

import os
import re
import struct
import time
from pathlib import Path
from textwrap import indent

import numpy as np
from docutils.nodes import image
from matplotlib import pyplot
from PIL import Image
from sphinx_gallery.scrapers import figure_rst, matplotlib_scraper

import fastnn

HERE = Path(__file__).parent
MNIST = HERE / "_build" / "mnist"
EXAMPLES = HERE.parent / "examples"
STARTED = time.time()
COMPILED = {
    name: getattr(fastnn, name) for name in fastnn.__all__ if hasattr(getattr(fastnn, name), "py_func")
}

#: Arguments with which an example takes seconds.
ARGUMENTS = {
    "autoencoder": ["--epochs", "20"],
    "burgers": ["--points", "600", "--iterations", "250"],
    "dqn": ["--seeds", "1"],
    "forecast": ["--epochs", "30"],
    "learned_ode": ["--epochs", "400"],
    "mnist": ["--epochs", "8", "--batch", "32"],  # of the files that `mnist_files` writes
    "search_halving": ["--settings", "9"],
    "search_optuna": ["--trials", "20"],
    "reinforce": ["--seeds", "2"],
    "ppo": ["--seeds", "2"],
    "stream": ["--samples", "3000"],
}

#: Inches, from which on a picture is too small to read in the width of a phone.
WIDE = 6.5

#: What a picture shows, for those who do not see it: by its file, or by lesson and number.
PICTURES = {
    "activations.png": "Curves of relu, sigmoid, tanh and gelu from -4 to 4.",
    "adversarial.png": "Eight handwritten digits with small changes, each with what it is and what it is "
    "read as.",
    "attribution.png": "One digit three times: pixels that speak for what the network reads are orange, "
    "those against it blue, by saliency, integrated gradients and occlusion.",
    "autoencoder.png": "Eight digits in three rows: as they are, with noise, and with the noise removed.",
    "backpropagation.png": "Left eight derivatives as pairs of equal bars, by hand and by fastnn; right the "
    "sum of squared errors, which falls alike with NumPy and with fastnn.",
    "balancing_pole.gif": "Animation of three carts that are pushed: the poles of the first two fall, that "
    "of the last generation stays up for ten seconds.",
    "balancing_pole.png": "Three carts with a pole: two poles have fallen, that of the last generation "
    "stands.",
    "bitmaps.png": "The digits zero to three as bitmaps of 4 by 5 pixels, and below each what the "
    "network reads when a pixel is turned over: mostly the digit itself.",
    "burgers.png": "The solution over time and place, with a steep front in the middle, and three "
    "moments in which the network lies on the exact curve but near the front.",
    "c_program.png": "A wave, the network that follows it, and four points of the C and the Fortran "
    "program on the line.",
    "cartpole.png": "The seconds that the pole stays up rise from generation to generation.",
    "categories.png": "Forty districts as points in a plane, twice: in one direction the rent per "
    "square metre changes, in another the rent whatever the size.",
    "decision_boundary.png": "Three spirals: straight borders without a hidden layer, curved ones that "
    "follow the spirals with 64 hidden units.",
    "digits_learning_curve.png": "Loss and accuracy over the epochs, for training and held-out digits.",
    "dropout.png": "Accuracy over the epochs: without dropout that of training ends above that of held-out "
    "digits, with dropout it stays below.",
    "dqn.png": "The mean return of an agent rises over thousands of frames; random actions keep it below "
    "the line at 475.",
    "excites.png": "Pictures that excite each of the ten outputs most, a digit, and a dream of that digit.",
    "feature_maps.png": "A digit and the sixteen pictures that the filters of the first layer make of it: "
    "edges of several directions.",
    "feedforward.png": "The input and the outputs of four layers as coloured rows; the first and the "
    "last row are equal.",
    "forecast.png": "The load of two weeks in grey under three forecasts: that of the GRU follows the "
    "holiday, those of last week and of the linear regression do not.",
    "large_network.png": "A diagram of a network of four layers, of each of which a few units are drawn.",
    "learned_ode.png": "The numbers of rabbits and foxes rise and fall in turn; the learned curves lie "
    "on the true ones.",
    "learning_curves.png": "Panels of loss, accuracy and learning rate over thirty epochs.",
    "loss_landscape.png": "Contours of the loss in two random directions: narrow and rugged for layers in a "
    "row, wide and smooth for residual blocks.",
    "mistakes.png": "Digits that the network has misread, each with what it is and what it was read as.",
    "network.png": "A diagram of a network of two inputs, four hidden units and one output; the "
    "lines are weights.",
    "neurons.png": "Three planes of two inputs: each of two neurons is zero on one side of a line and rises "
    "on the other; the output is the sum of both, weighted.",
    "n1_forward_pass_001.png": "Outputs over inputs: layers without an activation make a straight line, "
    "with tanh a curve.",
    "n2_activation_functions_001.png": "Values and slopes of sigmoid, tanh and relu from -5 to 5: the "
    "slopes of the first two vanish at both ends, that of relu is zero or one.",
    "n2_activation_functions_002.png": "The gradient of the first layer over the number of layers: with "
    "sigmoid it falls by twelve decades in twenty layers, with tanh and relu it stays.",
    "n2_activation_functions_003.png": "A wave and what networks of 1, 2, 4 and 16 units make of it: the "
    "more units, the closer.",
    "n3_chain_rule_001.png": "The loss over ten thousand steps, by NumPy and by fastnn: one line on the "
    "other.",
    "n4_softmax_and_cross_entropy_001.png": "Losses over the probability of the right class: towards "
    "zero cross-entropy grows without bounds, the squared error ends at one.",
    "n4_softmax_and_cross_entropy_002.png": "Accuracy over forty epochs: by cross-entropy it is above 80 "
    "% after a few, by the squared error it stays below 60 %.",
    "n5_learning_rates_001.png": "Steps on a parabola by four rates: small steps, a straight way to the "
    "minimum, swings that shrink, and steps that leave it.",
    "n5_learning_rates_002.png": "The loss after twenty epochs over the learning rate, for SGD, momentum "
    "and Adam: each has a valley, with a steep side on the right.",
    "n5_learning_rates_003.png": "Two schedules of the rate: one halves again and again, the other rises "
    "fast and falls as a cosine.",
    "n5_learning_rates_004.png": "The loss over twenty epochs, by a constant rate and by the cosine.",
    "n6_from_scratch_001.png": "Ten handwritten digits of 8 by 8 pixels, with their labels.",
    "n6_from_scratch_002.png": "The loss over fifty epochs, by NumPy and by fastnn: one line on the other.",
    "n6_from_scratch_003.png": "The weights of 64 hidden units as pictures of 8 by 8 pixels, orange and "
    "blue.",
    "neural_ode.png": "Left measured friction and the network's curve through it; right the angle of "
    "the pendulum, with the network as with the true friction.",
    "ppo.png": "The mean return of each agent over thousands of frames, up to the line at 475.",
    "reinforce.png": "The mean return of each agent over thousands of frames, up to the line at 475.",
    "residual.png": "Accuracy for 4, 16 and 64 hidden layers: the plain networks fall to a guess, "
    "those of residual blocks stay above 95 %.",
    "search_halving.png": "Accuracy of nine settings after three epochs, of the best three after nine, and "
    "of the best after twenty-seven, whose line rises furthest.",
    "search_optuna.png": "Accuracy of twenty trials over the epochs: those below the others end early.",
    "spiral.png": "Three spirals of points, each in a region of its own colour with a curved border.",
    "stream.png": "The error of a linear model and of a network over the samples; the network's is "
    "lower after each change.",
    "sweep.png": "A table of accuracies by width and learning rate, best in the middle, and "
    "learning curves of one width.",
    "training_boundary.gif": "Animation of the regions of three classes: from straight borders they bend "
    "until each follows its spiral.",
    "training_boundary.png": "Three spirals, each in a region of its own colour, after the last epoch.",
    "two_layers.png": "Outputs for four rows over the epochs: one layer learns the first column and "
    "stays at one half for exclusive or, two layers learn it.",
    "uncertainty.png": "Five panels with samples of a curve and intervals around it: those of the "
    "ensemble widen where no samples are, those of conformal quantiles follow the "
    "noise.",
    "units.png": "The weights of sixteen hidden units as pictures of 8 by 8 pixels.",
    "weights.png": "The weights of both dense layers as coloured tables.",
    "xor.png": "Left one neuron, whose straight border separates nothing; right a network with eight "
    "hidden neurons, whose regions separate the four points.",
}


def compiled(gallery_conf, file, when):
    """Give examples the compiled functions, in whose place docs/_site.py puts those that Sphinx can read."""
    for name, function in COMPILED.items():
        setattr(fastnn, name, function if when == "before" else function.py_func)


def arguments(gallery_conf, script_vars):
    """The arguments of an example."""
    name = Path(script_vars["src_file"]).stem
    return [*([mnist_files()] if name == "mnist" else []), *ARGUMENTS.get(name, [])]


def mnist_files():
    """Write the digits of fastnn, enlarged, as files of the form of MNIST; return the folder."""
    MNIST.mkdir(parents=True, exist_ok=True)
    X, y = fastnn.datasets.digits()
    order = np.random.default_rng(0).permutation(len(X))
    large = np.kron(X[order].reshape(-1, 8, 8), np.ones((3, 3))) * 15.9
    framed = np.pad(large, ((0, 0), (2, 2), (2, 2)))
    for name, part in (("train", slice(0, 1400)), ("t10k", slice(1400, None))):
        for kind, array in (("images-idx3", framed[part]), ("labels-idx1", y[order][part])):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (MNIST / f"{name}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    return str(MNIST)


def position(path):
    """Where an example stands in the page that lists them."""
    return (HERE / "examples.md").read_text(encoding="utf-8").index(f"/{Path(path).name}")


def pictures(block, block_vars, gallery_conf):
    """Put what a cell has drawn into the page: for an example the files that it has saved, with texts."""
    if EXAMPLES != Path(block_vars["src_file"]).resolve().parent:
        drawn = matplotlib_scraper(block, block_vars, gallery_conf)
        found = re.search(r"/sphx_glr_(\w+\.png)", drawn)
        return framed(re.sub(r":alt: .*", f":alt: {PICTURES[found[1]]}", drawn)) if found else drawn
    shown = []
    new = [path for path in Path.cwd().glob("*.[gp][in][fg]") if path.stat().st_mtime >= STARTED]
    for path in sorted(new, key=lambda path: path.stat().st_mtime_ns):
        if path.suffix == ".gif":
            shown.append(player(block_vars["example_globals"]["animation"], PICTURES[path.name]))
            path.unlink()
        else:
            place = next(block_vars["image_path_iterator"])
            os.replace(path, place)
            if path.with_suffix(".gif") not in new:  # else it is on the card of the example only
                shown.append(framed(figure_rst([place], gallery_conf["src_dir"], PICTURES[path.name])))
    pyplot.close("all")
    return "\n".join(shown)


def framed(picture):
    """A picture in a frame, which scrolls on a phone where the picture is wide."""
    with Image.open(HERE / re.search(r"image-sg:: /(\S+)", picture)[1]) as file:
        wide = " wide" if file.width / file.info["dpi"][0] > WIDE else ""
    return f'.. raw:: html\n\n    <div class="picture{wide}">\n\n{picture}\n.. raw:: html\n\n    </div>\n'


def thumbnails(app, doctree):
    """Give the small pictures that lead to examples and lessons the texts of the large ones."""
    for node in doctree.findall(image):
        found = re.search(r"/thumb/sphx_glr_(\w+)_thumb\.", node["uri"])
        if found and not node.get("alt"):
            node["alt"] = text_of(found[1])


def text_of(name):
    """The text of the first picture of an example or a lesson."""
    if f"{name}_001.png" in PICTURES:
        return PICTURES[f"{name}_001.png"]
    saved = re.findall(r'"(\w+\.png)"', (EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    return next((PICTURES[file] for file in saved if file in PICTURES), "This program draws nothing.")


def player(animation, text):
    """An animation with buttons, whose signs come with the theme and not from another server."""
    html = re.sub(r"<link [^>]*>", "", animation.to_jshtml(default_mode="once"))
    html = re.sub(r"<img ([^>]*)>", rf'<div class="picture wide"><img alt="{text}" \1></div>', html)
    html = html.replace('type="range"', 'type="range" aria-label="frame"')
    return f".. raw:: html\n\n{indent(html, '    ')}\n"
