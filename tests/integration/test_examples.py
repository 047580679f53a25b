"""Runs every example as a reader would and reads what it prints."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn as fn

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = {
    "learning_curves": {"learning_curves.png"},
    "decision_boundary": {"decision_boundary.png"},
    "weights": {"weights.png", "units.png"},
    "network": {"network.png", "large_network.png"},
    "categories": {"categories.png"},
}
PROGRAMS = {"digits", "spiral", "residual", "xor", "bitmaps", "layers", "cartpole", "neural_ode", "sweep"}
PROGRAMS |= {
    "autoencoder",
    "burgers",
    "c_program",
    "convolution",
    "forecast",
    "mnist",
    "reinforce",
    "ppo",
    "dqn",
    "search_halving",
    "search_optuna",
    "stream",
    "learned_ode",
    "feedforward",
    "neurons",
    "dropout",
    "backpropagation",
    "two_layers",
    "uncertainty",
    "what_a_network_sees",
    "loss_landscape",
    "training_boundary",
    "balancing_pole",
}
PROGRAMS |= set(PICTURES)


@pytest.fixture
def run(tmp_path):
    """Run an example in an empty folder and return its lines; each picture that these name must be there."""

    def run_example(name, *arguments):
        done = subprocess.run(
            [sys.executable, EXAMPLES / f"{name}.py", *arguments],
            cwd=tmp_path,
            env={**os.environ, "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        for picture in re.findall(r"\w+\.(?:png|gif)", done.stdout):
            assert (tmp_path / picture).read_bytes().startswith((b"\x89PNG", b"GIF89a"))
        return done.stdout

    return run_example


def numbers(pattern, text):
    """Return the numbers that the groups of all matches hold, a tuple for each match."""
    found = [tuple(map(float, match.groups())) for match in re.finditer(pattern, text)]
    assert found, f"{pattern!r} is not in\n{text}"
    return found


def test_every_example_is_run_here():
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"plain_numpy", "pole"}
    assert scripts == PROGRAMS


def test_digits(run, tmp_path):
    output = run("digits")
    assert "1348 handwritten digits to learn from (6740 with their shifts)" in output
    assert "449 held out" in output
    [(compiling,)] = numbers(r"compiling kernels \(first run only\): ([\d.]+) s", output)
    [(accuracy, seconds)] = numbers(r"fastnn +([\d.]+)% +([\d.]+) s", output)
    [(numpy_accuracy, numpy_seconds)] = numbers(r"plain NumPy +([\d.]+)% +([\d.]+) s", output)
    [(ratio,)] = numbers(r"fastnn is ([\d.]+) times as fast as plain NumPy", output)
    assert compiling >= 0
    assert accuracy >= 97
    # the same training from the same weights: only the order of the batches differs
    assert numpy_accuracy == pytest.approx(accuracy, abs=2)
    assert ratio == pytest.approx(numpy_seconds / seconds, rel=0.1, abs=0.06)
    assert ratio > 0.5

    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    picture = tmp_path / "digits_learning_curve.png"
    assert picture.name in output
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_digits_with_fewer_epochs(run):
    output = run("digits", "--epochs", "2")
    assert "2 epochs, 422 steps" in output
    [(accuracy, _)] = numbers(r"fastnn +([\d.]+)% +([\d.]+) s", output)
    assert 80 < accuracy < 100


def test_residual(run):
    output = run("residual")
    assert re.search(r"LayerNormalization\(\) +\(n, 32\) +64 +0\n", output)
    assert "Total parameters: 2,371 (" in output
    rows = numbers(r"\n +(\d+) +([\d.]+)% +([\d.]+)%", output)
    assert [depth for depth, _, _ in rows] == [4, 16, 64]
    assert all(residual > 95 for _, _, residual in rows)
    assert rows[0][1] > 95 and rows[-1][1] < 50  # a plain network of 64 layers learns nothing


def test_categories(run):
    output = run("categories")
    [(missing,)] = numbers(r"the age of (\d+) is missing", output)
    assert 800 < missing < 1000
    r2 = [(score, size) for score, size in numbers(r"not seen ([\d.]+) +(\d+) parameters", output)]
    (by_number, _), (one_hot, many), (vectors, few) = r2
    assert by_number < 0.8 and one_hot > 0.97 and vectors > 0.97 and few < many / 4
    assert min(*numbers(r"explain ([\d.]+) of the rent per square metre, ([\d.]+)", output)[0]) > 0.7


def test_stream(run):
    pytest.importorskip("river", reason="the extra `river` is not installed")
    rows = numbers(r"\n +(\d+) +(\d+) +([\d.]+) +([\d.]+)", run("stream", "--samples", "2400"))
    assert [inputs for _, inputs, _, _ in rows] == 4 * [3] + 8 * [4]
    network, linear = (np.array([row[k] for row in rows]) for k in (2, 3))
    assert (network[5:] < 0.8 * linear[5:]).sum() >= 5


def test_spiral(run):
    output = run("spiral", "--epochs", "100")
    [(accuracy,)] = numbers(r"accuracy after 100 epochs: ([\d.]+)%", output)
    assert accuracy >= 95
    picture = output.splitlines()[-32:]
    assert {len(line) for line in picture} == {72}
    assert set("".join(picture)) == set("ABC., ")


def test_xor(run):
    alone, hidden = run("xor").split("8 hidden neurons:")
    pattern = r"xor . = (.)   predicted ([\d.]+)"
    # one neuron stays at a half, a hidden layer finds all four answers
    assert [predicted for _, predicted in numbers(pattern, alone)] == pytest.approx([0.5] * 4, abs=0.02)
    answers = numbers(pattern, hidden)
    assert [target for target, _ in answers] == [0, 1, 1, 0]
    assert [predicted for _, predicted in answers] == pytest.approx([0, 1, 1, 0], abs=0.05)


def test_bitmaps(run):
    output = run("bitmaps")
    assert numbers(r"bitmap of (\d): the network says -?[\d.]+, so (\d)", output) == [
        (digit, digit) for digit in range(4)
    ]
    [(right, of)] = numbers(r"one wrong pixel it still reads (\d+) of (\d+)", output)
    # guessing would read 20
    assert of == 80 and right >= 50


def test_layers(run):
    output = run("layers")
    three_rows = "[ 0.5031  -1.04185 -2.03875] [ 0.2434 -2.7332 -5.7633] [-0.99314  1.41254 -0.35655]"
    for way in ["the network", "layer by layer", "one layer"]:
        assert re.search(rf"^{way} +{re.escape(three_rows)}$", output, re.MULTILINE)
    assert "is [[0.0, 10.0], [15.0, 0.0]]" in output
    assert "sums [1. 1.]" in output
    by_fastnn, by_hand = re.search(r"^fastnn +(.*)\nby hand (.*)$", output, re.MULTILINE).groups()
    assert by_fastnn == by_hand


@pytest.mark.parametrize("name", PICTURES)
def test_pictures(name, run, tmp_path):
    pytest.importorskip("matplotlib", reason="the pictures are drawn only where matplotlib is installed")
    output = run(name)
    assert {path.name for path in tmp_path.iterdir()} == PICTURES[name]
    assert all(picture in output for picture in PICTURES[name])


@pytest.mark.sweep
def test_dropout(run):
    rows = numbers(r"accuracy ([\d.]+)% in training, ([\d.]+)% held out", run("dropout"))
    assert all(held_out > 90 for _, held_out in rows)
    assert rows[0][0] > rows[0][1] and rows[1][0] < rows[1][1]


def test_the_networks_of_first_tutorials(run):
    for (difference,) in numbers(r"largest difference from NumPy ([\d.e+-]+)", run("feedforward")):
        assert difference < 1e-12
    output = run("neurons")
    by_hand, by_fastnn = numbers(r"(?:by hand|fastnn ) ([\d.]+)", output)
    assert by_hand == by_fastnn
    assert "hidden [16.  0.] output [32.]" in output
    output = run("backpropagation")
    by_hand, by_fastnn = re.search(r"^by hand (.*)\nfastnn  (.*)$", output, re.MULTILINE).groups()
    assert by_hand == by_fastnn
    [(difference,)] = numbers(r"largest difference from NumPy ([\d.e+-]+)", output)
    assert difference < 1e-9
    rows = numbers(r"(?:column|or) +([\d.]+) ([\d.]+) ([\d.]+) ([\d.]+)", run("two_layers"))
    assert rows[0] == pytest.approx([0, 0, 1, 1], abs=0.05)
    assert rows[1] == pytest.approx(4 * [0.5], abs=0.01)
    assert rows[2] == pytest.approx([0, 1, 1, 0], abs=0.05)


@pytest.mark.sweep
def test_a_loss_landscape(run):
    rows = numbers(
        r"loss ([\d.]+), accuracy ([\d.]+)%, at the edge of the picture from ([\d.]+)",
        run("loss_landscape", "--points", "5"),
    )
    assert all(accuracy > 90 and edge > 10 * loss for loss, accuracy, edge in rows)
    assert rows[1][2] < rows[0][2]  # residual blocks are flatter


@pytest.mark.sweep
def test_animations(run, tmp_path):
    pytest.importorskip("matplotlib", reason="the pictures are drawn only where matplotlib is installed")
    [(accuracy,)] = numbers(r"after 27 epochs: ([\d.]+)%", run("training_boundary", "--frames", "10"))
    assert accuracy > 70
    seconds = [value for (value,) in numbers(r"stays up for +([\d.]+) s", run("balancing_pole"))]
    assert len(seconds) == 20 and seconds[-1] > 5 * seconds[0]
    names = {"training_boundary", "balancing_pole"}
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{n}.{end}" for n in names for end in ("png", "gif")
    }


@pytest.mark.sweep
def test_what_the_pictures_show(run):
    pytest.importorskip("matplotlib", reason="the pictures are drawn only where matplotlib is installed")
    [(straight,), (curved,)] = numbers(r": accuracy ([\d.]+)", run("decision_boundary"))
    assert straight < 0.7 and curved > 0.95
    assert "predicted [0 1 1 0]" in run("network")
    output = run("what_a_network_sees")
    [(accuracy,)] = numbers(r"has not seen: ([\d.]+)", output)
    [(contributions, difference)] = numbers(r"sum up to ([\d.]+), the outputs differ by ([\d.]+)", output)
    misled = [right for _, right in numbers(r"changed by ([\d.]+): accuracy ([\d.]+)", output)]
    assert accuracy > 0.85 and contributions == pytest.approx(difference, abs=0.1)
    assert "these are [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" in output
    assert accuracy > misled[0] > misled[1] > misled[2]


@pytest.mark.sweep
def test_uncertainty(run):
    row = r"^ *([a-zA-Z ]+?) +([\d.]+)% +([\d.]+)% +([\d.]+)% +[\d.]+ +[\d.]+$"
    found = {
        name: tuple(map(float, held)) for name, *held in re.findall(row, run("uncertainty"), re.MULTILINE)
    }
    assert list(found) == ["deep ensemble", "dropout", "Laplace", "conformal", "conformal quantiles"]
    assert all(held == pytest.approx(90, abs=4) for held, _, _ in found.values())
    assert found["conformal"][0] == pytest.approx(90, abs=2)
    for name in ("deep ensemble", "conformal quantiles"):  # which know where the noise is large
        assert found[name][1:] == pytest.approx((90, 90), abs=4)


@pytest.mark.sweep
def test_cartpole(run):
    output = run("cartpole", "--generations", "12")
    seconds = [value for (value,) in numbers(r"stays up for +([\d.]+) s", output)]
    assert len(seconds) == 12
    assert np.mean(seconds[-3:]) > 5 * seconds[0]
    [(episodes, steps)] = numbers(r"fastnn +(\d+) episodes/s +(\d+) steps/s", output)
    assert 0 < episodes < steps
    if "skipped: PyTorch is not installed" not in output:
        [(_, slow)] = numbers(r"PyTorch +(\d+) episodes/s +(\d+) steps/s", output)
        assert steps > 3 * slow


AGENT = r"solved after (\d+) episodes, (\d+) frames, [\d.]+ s, (\d+) frames/s; the last 100 have ([\d.]+)"


@pytest.mark.sweep
@pytest.mark.parametrize("name", ["reinforce", "ppo", "dqn"])
def test_agents(name, run, tmp_path):
    """Each seed balances the pole, within as many frames as the example allows."""
    for episodes, frames, speed, last in numbers(AGENT, output := run(name, "--seeds", "4")):
        assert last >= 475 and frames > 10 * episodes and speed > 500
    assert output.count(": solved") == 4
    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_an_agent_from_python(run):
    """The start of a run."""
    [(episodes, frames)] = numbers(
        r"seed 0: not solved after (\d+) episodes, (\d+) frames",
        run("dqn", "--seeds", "1", "--frames", "1500"),
    )
    assert 1400 < frames <= 1500 and episodes > 20


@pytest.mark.sweep
def test_neural_ode(run):
    output = run("neural_ode")
    [(error,)] = numbers(r"largest error of the angle: ([\d.]+) rad", output)
    assert error < 0.3
    assert len(numbers(r"(\d\.\d) s +(-?[\d.]+) +(-?[\d.]+)", output)) == 10


def test_learned_ode(run):
    pytest.importorskip("scipy")
    output = run("learned_ode")
    [(error,)] = numbers(r"the error of the network ([\d.]+)", output)
    assert error < 0.012
    found = numbers(r"  ([\d.]+) ms, largest error ([\d.]+)", output)
    assert len(found) == (2 if "there is no C compiler" in output else 3)
    assert all(far == pytest.approx(found[0][1], abs=0.002) for _, far in found) and found[0][1] < 0.15
    assert len(found) == 2 or found[2][0] < found[0][0]


def test_sweep(run, tmp_path):
    output = run("sweep", "--epochs", "5")
    assert "64 networks, 5 epochs each" in output
    [(alone, together)] = numbers(r"the best alone ([\d.]+)%, the best five together ([\d.]+)%", output)
    assert alone > 90 and together > 90
    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.sweep
def test_burgers(run, tmp_path):
    """A short run: half of the error is gone."""
    pytest.importorskip("scipy")
    [(error,)] = numbers(
        r"relative error of u: ([\d.e+-]+)", run("burgers", "--points", "1000", "--iterations", "150")
    )
    assert error < 0.5
    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    assert (tmp_path / "burgers.png").read_bytes().startswith(b"\x89PNG")


def test_autoencoder(run, tmp_path):
    [(before, after)] = numbers(r"([\d.]+) with noise, ([\d.]+) without", run("autoencoder", "--epochs", "3"))
    assert before == pytest.approx(0.16, abs=0.01) and after < 0.6 * before
    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    assert (tmp_path / "autoencoder.png").read_bytes().startswith(b"\x89PNG")


def test_convolution(run, tmp_path):
    output = run("convolution", "--epochs", "3")
    [(accuracy,)] = numbers(r"449 held-out digits: ([\d.]+)%", output)
    assert accuracy > 95
    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    assert (tmp_path / "feature_maps.png").read_bytes().startswith(b"\x89PNG")


def test_forecast(run, tmp_path):
    output = run("forecast")
    pattern = r"{} +\d+ days +([\d.]+) +([\d.]+) +([\d.]+)"
    [(last_week, linear, gru)] = numbers(pattern.format("all days"), output)
    assert gru < 0.95 * linear < 0.6 * last_week
    for kind in ("holidays", "a week after one"):
        [(last_week, linear, gru)] = numbers(pattern.format(kind), output)
        assert gru < 0.7 * min(linear, last_week)
    pytest.importorskip("matplotlib", reason="the picture is drawn only where matplotlib is installed")
    assert (tmp_path / "forecast.png").read_bytes().startswith(b"\x89PNG")


def test_mnist(run, tmp_path):
    """Files of the form of MNIST, with the digits that are shipped, three times as large, in the middle."""
    X, y = fn.datasets.digits()
    pictures = np.pad(np.kron(X.reshape(-1, 8, 8), np.ones((3, 3))) * 15.9, ((0, 0), (2, 2), (2, 2)))
    for name, part in (("train", slice(0, 1500)), ("t10k", slice(1500, None))):
        for kind, array in (("images-idx3", pictures[part]), ("labels-idx1", y[part])):
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            (tmp_path / f"{name}-{kind}-ubyte").write_bytes(header + array.astype(np.uint8).tobytes())
    output = run("mnist", str(tmp_path), "--epochs", "4")
    assert "1500 pictures of shape (28, 28, 1) to learn from, 297 to test on" in output
    assert "44,426" in output  # parameters
    [(accuracy,)] = numbers(r"on the test set: ([\d.]+)%", output)
    assert accuracy > 80
    assert (tmp_path / "lenet5.safetensors").stat().st_size > 4 * 44_426


def test_c_program(run):
    """What compilers make of the network agrees with Python to the printed digits, nearly."""
    output = run("c_program")
    lines = {key: values for key, values in re.findall(r"^(\w+): +([\d. ]+)$", output, re.MULTILINE)}
    python = np.array(lines.pop("Python").split(), float)
    np.testing.assert_allclose(python, 5 + np.sin(np.arange(4)), atol=0.5)
    for numbers_of_others in lines.values():
        np.testing.assert_allclose(np.array(numbers_of_others.split(), float), python, atol=2e-4)
    assert "wave.h: " in output and "wave.f90: " in output


@pytest.mark.parametrize(
    "arguments",
    [pytest.param((), marks=pytest.mark.sweep), pytest.param(("--dask",), marks=pytest.mark.ecosystem)],
    ids=["threads", "dask"],
)
def test_search_halving(run, arguments):
    pytest.importorskip("distributed" if arguments else "sklearn")
    output = run("search_halving", "--settings", "9", *arguments)
    assert numbers(r"(\d+) settings, +(\d+) epochs", output) == [(9, 3), (3, 9), (1, 27)]
    [(accuracy,)] = numbers(r"the best: ([\d.]+)%", output)
    assert 90 < accuracy < 99


@pytest.mark.ecosystem
def test_search_optuna(run):
    pytest.importorskip("optuna")
    output = run("search_optuna", "--trials", "15")
    [(trials, pruned, epochs)] = numbers(r"(\d+) trials in .* s, (\d+) of them pruned: (\d+) epochs", output)
    assert trials == 15 and 0 < pruned < 15 and epochs < 300
    [(accuracy,)] = numbers(r"the best: ([\d.]+)%", output)
    assert 85 < accuracy < 99
