"""The Python program that trains the network of the page: to the same bits."""

from __future__ import annotations

from collections.abc import Sequence

from .points import arguments, seeds
from .settings import OPTIMIZERS, Settings


def program(settings: Settings, stages: Sequence[tuple[float, int]]) -> str:
    """Text of a program that runs as it is.

    Parameters
    ----------
    settings : Settings
        Their learning rate is not read.
    stages : sequence of (float, int)
        Learning rates, one after the other, and the epochs of each; at least one.

    Examples
    --------
    >>> from fastnn.playground.settings import Settings
    >>> print(program(Settings(data="xor", noise=0.1, hidden=(4,)), [(0.01, 50), (0.001, 20)]))
    import fastnn as fn
    <BLANKLINE>
    X, y = fn.datasets.xor(samples=100, seed=0, noise=0.1)
    X_val, y_val = fn.datasets.xor(samples=100, seed=1, noise=0.1)
    <BLANKLINE>
    model = fn.Model(
        [
            fn.Dense(4, "tanh"),
            fn.Dense(2),
        ],
        loss="cross_entropy",
        optimizer=fn.Adam(0.01),
        seed=0,
    )
    model.fit(X, y, epochs=50, batch_size=32)
    model.optimizer.learning_rate = 0.001
    model.fit(X, y, epochs=20, batch_size=32)
    print("training:", model.evaluate(X, y))
    print("validation:", model.evaluate(X_val, y_val))
    <BLANKLINE>
    """
    own = settings.data == "own"
    penalty = f", l2={settings.l2!r}" if settings.l2 else ""
    hidden = [f'fn.Dense({units}, "{settings.activation}"{penalty})' for units in settings.hidden]
    layers = [*hidden, f"fn.Dense({settings.n_classes}{penalty})"]
    kind, options = OPTIMIZERS[settings.optimizer]
    (first, _), *_ = stages
    given = ", ".join([repr(first), *(f"{name}={value!r}" for name, value in options.items())])
    lines = [
        *(["import numpy as np", ""] if own else []),
        "import fastnn as fn",
        "",
        *(_placed(settings) if own else _drawn(settings)),
        "",
        "model = fn.Model(",
        "    [",
        *(f"        {layer}," for layer in layers),
        "    ],",
        '    loss="cross_entropy",',
        f"    optimizer=fn.{kind.__name__}({given}),",
        f"    seed={settings.seed},",
        ")",
        *_trained(settings, stages),
        'print("training:", model.evaluate(X, y))',
        *([] if own else ['print("validation:", model.evaluate(X_val, y_val))']),
        "",
    ]
    return "\n".join(lines)


def _trained(settings: Settings, stages: Sequence[tuple[float, int]]) -> list[str]:
    lines = []
    for number, (rate, epochs) in enumerate(stages):
        lines += [f"model.optimizer.learning_rate = {rate!r}"] if number else []
        lines += [f"model.fit(X, y, epochs={epochs}, batch_size={settings.batch_size})"] if epochs else []
    return lines if any(epochs for _, epochs in stages) else ["model.build(2)"]


def _drawn(settings: Settings) -> list[str]:
    calls = []
    for seed in seeds(settings):
        given = ", ".join(f"{name}={value!r}" for name, value in arguments(settings, seed).items())
        calls.append(f"fn.datasets.{settings.data}({given})")
    return [f"X, y = {calls[0]}", f"X_val, y_val = {calls[1]}"]


def _placed(settings: Settings) -> list[str]:
    points = [f"    [{x!r}, {y!r}, {label!r}]," for x, y, label in settings.points]
    table = ["points = np.array([", *points, "])"]
    return [*table, "X, y = points[:, :2], points[:, 2].astype(int)"]
