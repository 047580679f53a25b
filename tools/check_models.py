"""How many model files of a folder load, and how many of these compute what ONNX Runtime computes.

    python tools/check_models.py FOLDER [--each]

needs onnx, onnxruntime. All ``*.onnx`` below the folder are tried, each in a process of its own with
limits of time and memory, so that none can end or hold up the program. A file with several outputs is
tried with each. Printed are the counts, and for the files that do not load the reasons, the most frequent
first; with ``--each`` also a line for each file. A file is right if all numbers for random inputs, a
single sample and seven, are those of ONNX Runtime, to TOLERANCE times the largest.
"""

import argparse
import collections
import json
import math
import os
import re
import resource
import select
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

import fastnn as fn
import fastnn.onnx

TOLERANCE = 1e-5  # of the largest number
SMALLEST = 1e-2  # at least the largest number: ONNX Runtime's sigmoid is exact to 5e-8, not relatively
SECONDS = 60  # for a file
MEMORY = 8 << 30  # bytes of addresses for a file
ROWS = (1, 7)  # for inputs whose number of rows is free
SCALES = (1.0, 3.0)  # of the inputs, so that what is clipped and what saturates is met, too
KINDS = {"float": np.float32, "double": np.float64, "float16": np.float16, "bool": np.bool_}
OUTCOMES = ("right", "right with output=", "loads, not compared", "wrong", "refused", "crashed")


def main() -> None:
    """Try the files and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", action="store_true", help="print a line for each file")
    options = parser.parse_args()
    found = {}
    for path in sorted(options.folder.rglob("*.onnx")):
        found[path] = outcome, detail = in_a_process(path)
        if options.each:
            print(f"{path.relative_to(options.folder)}\t{outcome}\t{detail}", flush=True)
    report(found)


def report(found: dict[Path, tuple[str, str]]) -> None:
    """Print the counts of the outcomes, and of the reasons of each that is not right."""
    counts = collections.Counter(outcome for outcome, _ in found.values())
    print(f"{len(found)} files")
    for outcome in OUTCOMES:
        print(f"{counts[outcome]:6} {outcome}")
    for outcome in OUTCOMES[2:]:
        reasons = collections.Counter(grouped(detail) for kind, detail in found.values() if kind == outcome)
        if reasons:
            print(f"{outcome}, because")
        for reason, count in reasons.most_common():
            print(f"{count:6} {reason}")


def grouped(message: str) -> str:
    """A message without what differs between files: paths, names and numbers."""
    message = message.partition(" is not a row of layers: ")[2] or message
    message = re.sub(r" \(node '.*?'\)", "", message)
    message = re.sub(r"'[^']*'", "'...'", message)
    message = re.sub(r"\((?:[^()]*, )*[^()]*\)", "(...)", message)
    return re.sub(r"-?\d+(\.\d+)?(e[-+]?\d+)?", "#", message)[:150]


def in_a_process(path: Path) -> tuple[str, str]:
    """Outcome and detail of a file, whatever it does."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        limit()
        try:
            answer = tried(path)
        except BaseException as error:
            answer = "crashed", f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps([answer[0], answer[1][:2000]]).encode())
        os._exit(0)
    os.close(writing)
    content, end = b"", time.monotonic() + SECONDS
    while select.select([reading], [], [], max(end - time.monotonic(), 0))[0]:
        if not (piece := os.read(reading, 1 << 16)):
            break
        content += piece
    else:
        os.kill(child, signal.SIGKILL)
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL:
        return "crashed", f"it took more than {SECONDS} s"
    if code:
        return "crashed", f"exit code {code}" if code > 0 else signal.Signals(-code).name
    outcome, detail = json.loads(content)
    return outcome, detail


def limit() -> None:
    """Limits of this process, which is to try one file; it prints nothing."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nowhere, handle)
    warnings.simplefilter("ignore")


def tried(path: Path) -> tuple[str, str]:
    """What comes of a file: an outcome of OUTCOMES, and more about it."""
    try:
        model = fn.onnx.load(path)
    except (OSError, ValueError) as error:
        return tried_with_output(path, str(error))
    outcome, detail = compared(path, model, None)
    return outcome, detail or layers_of(model)


def tried_with_output(path: Path, message: str) -> tuple[str, str]:
    """The same for each output of a file which does not load without naming one."""
    try:
        names = [value.name for value in onnx.load(path, load_external_data=False).graph.output]
    except Exception:  # damaged; there are many classes
        return "refused", message
    good, wrong, failed = [], [], ""
    for name in names if len(names) > 1 else []:
        try:
            model = fn.onnx.load(path, output=name)
        except ValueError as error:
            failed = failed or str(error)
            continue
        outcome, detail = compared(path, model, name)
        (good if outcome == "right" else wrong).append((outcome, f"{name}: {detail or layers_of(model)}"))
    if wrong:
        return wrong[0]
    if good:
        return "right with output=", "; ".join(detail for _, detail in good)
    return "refused", message


def layers_of(model: fn.Model) -> str:
    """The layers as text, for ``--each``."""
    return repr(model.layers)[:500]


def compared(path: Path, model: fn.Model, output: str | None) -> tuple[str, str]:
    """Whether the model gives what ONNX Runtime gives, for an output or for any of them."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # it knows fewer files than there are
        return "loads, not compared", f"{type(error).__name__}: {error}"
    ends = session.get_inputs()
    candidates = [[end] for end in ends if width(end) in (model.n_in, None)] or [[end] for end in ends]
    if len(ends) > 1 and all(map(width, ends)) and sum(map(width, ends)) == model.n_in:
        candidates = [ends]  # side by side
    worst = "no input of ONNX Runtime's fits"
    for chosen in candidates:
        right, worst = is_right(session, ends, chosen, model, output)
        if right:
            return "right", ""
    return ("loads, not compared" if right is None else "wrong"), worst


def width(end: onnxruntime.NodeArg) -> int | None:
    """Numbers of a row of an input, or None if that is free."""
    sizes = end.shape[1:] if len(end.shape) > 1 else end.shape
    return math.prod(sizes) if all(isinstance(size, int) for size in sizes) else None


def is_right(session, ends, chosen, model, output) -> tuple[bool | None, str]:
    """Whether all random inputs give what the model gives; None if ONNX Runtime gives nothing."""
    rng = np.random.default_rng(0)
    names = [end.name for end in session.get_outputs()]
    left = {output} if output in names else set(names)
    worst = dict.fromkeys(sorted(left), 0.0)
    for scale in SCALES:
        pairs: dict[str, list[tuple[np.ndarray, np.ndarray | None]]] = {name: [] for name in worst}
        for rows in ROWS:
            feed = {end.name: drawn(end, rows, scale, model, rng) for end in ends}
            x = samples([feed[end.name] for end in chosen], model)
            if x is None:
                return None, "the inputs have different numbers of rows"
            try:
                results = dict(zip(names, session.run(None, feed), strict=True))
            except Exception as error:
                return None, f"ONNX Runtime does not run it: {error}"
            given = model.predict(x)
            for name, own in pairs.items():
                own.append((given, numbers(results[name])))
        worst = {name: max(worst[name], distance(own)) for name, own in pairs.items()}
    nearest = min(worst, key=lambda name: worst[name])
    return (
        worst[nearest] <= TOLERANCE,
        f"{nearest}: {worst[nearest]:.3g} of the largest number; {layers_of(model)}",
    )


def samples(given: list[np.ndarray], model: fn.Model) -> np.ndarray | None:
    """Inputs of a graph as the model takes them: channels last, or all numbers of a sample side by side."""
    shape = model.input_shape
    if len(given) == 1:
        x = given[0].astype(np.float64)
        if len(shape) > 1 and x.ndim == len(shape) + 1 and x.shape[1:] != shape:
            last = np.moveaxis(x, 1, -1)
            x = last if last.shape[1:] == shape else np.swapaxes(x, 0, 1)  # times before samples
        return x.reshape(-1, *shape)
    rows = [part.reshape(len(part), -1) if part.ndim > 1 else part.reshape(1, -1) for part in given]
    return np.concatenate(rows, axis=1).astype(np.float64) if len({len(part) for part in rows}) == 1 else None


def drawn(end, rows: int, scale: float, model: fn.Model, rng: np.random.Generator) -> np.ndarray:
    """A random input: whole numbers and truths where these are wanted."""
    free = [i for i, size in enumerate(end.shape) if not isinstance(size, int)]
    shape = [size if isinstance(size, int) else 1 for size in end.shape]
    known = math.prod(shape[1:])
    for i in free:
        shape[i] = rows if i == 0 and len(shape) > 1 else max(model.n_in // known, 1)
        known *= shape[i] if i else 1
    kind = end.type[7:-1]
    values = rng.normal(0, scale, shape)
    return (
        (values > 0) if kind == "bool" else values.astype(KINDS.get(kind, np.int64 if "64" in kind else kind))
    )


def numbers(result) -> np.ndarray | None:
    """What ONNX Runtime gives as numbers; None if it gives something else."""
    if isinstance(result, list):  # of dictionaries, for each row one
        result = [list(row.values()) for row in result if isinstance(row, dict)]
    array = np.asarray(result)
    return array.astype(np.float64) if array.dtype.kind in "fiub" else None


def distance(pairs: list[tuple[np.ndarray, np.ndarray | None]]) -> float:
    """The largest difference of what a model gives and what is wanted, relative to the largest number."""
    difference, largest = 0.0, SMALLEST
    for given, wanted in pairs:
        if wanted is None or wanted.size != given.size:
            return math.inf
        if given.ndim > 2 and wanted.ndim == given.ndim and wanted.shape != given.shape:
            wanted = np.moveaxis(wanted, 1, -1)  # the model's channels are the last axis
        known = np.isfinite(wanted := wanted.reshape(given.shape))  # it takes the logarithm of what is 0
        if not np.isfinite(given).all():
            return 0.0 if np.array_equal(given, wanted.astype(given.dtype), equal_nan=True) else math.inf
        difference = max(difference, float(np.abs(given - wanted)[known].max(initial=0.0)))
        largest = max(largest, float(np.abs(wanted[known]).max(initial=0.0)))
    return difference / largest


if __name__ == "__main__":
    sys.exit(main())
