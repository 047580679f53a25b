"""The load of a power grid, forecast by a GRU
===========================================

A recurrent network forecasts the load of the next day, for which it reads the four weeks before it.

::

    python examples/forecast.py [--epochs 60]

The series is made up. Working days have two peaks, weekends have one, and holidays look like Sundays. All of
it is multiplied by a factor that drifts, as if by the weather. A time step is a day: its 24 loads, and from
the calendar whether the following day is a holiday. The forecast is compared with the load of a week ago, and
with a linear regression on the same numbers. A holiday is where these two fail: a week later the load of a
week ago misleads, and what a holiday changes depends on the day of the week, which is not linear. The picture
needs matplotlib.
"""

import argparse

import numpy as np

import fastnn as fn

DAYS, HELD_OUT, WINDOW = 4 * 365, 365, 28


def draw_load(rng):
    """The load of each hour, of shape (DAYS, 24), and which days are holidays."""
    hour, day = np.arange(24), np.arange(DAYS)

    def peak(at, width):
        return np.exp(-(((hour - at) / width) ** 2))

    working = 1 + 0.5 * peak(8, 2.5) + 0.7 * peak(19, 3) - 0.4 * peak(3, 3)
    free = 0.8 + 0.35 * peak(12, 4) + 0.3 * peak(20, 3) - 0.3 * peak(4, 3)
    holiday = rng.random(DAYS) < 0.05
    rest = holiday | (day % 7 >= 5)
    logarithm = 0.3 * np.sin(2 * np.pi * day / 365) + drift(rng.normal(0, 0.06, DAYS), 0.97)
    noise = drift(rng.normal(0, 0.03, 24 * DAYS), 0.8).reshape(DAYS, 24)
    return np.where(rest[:, None], free, working) * np.exp(logarithm[:, None] + noise), holiday


def drift(steps, decay):
    """Autoregressive series of first order: the sum of all steps so far, old ones forgotten."""
    result = np.zeros(len(steps))
    for i in range(1, len(steps)):
        result[i] = decay * result[i - 1] + steps[i]
    return result


def windows(load, holiday):
    """Four weeks of loads and of whether the next day is a holiday, (n, 28, 25), and the next day's load."""
    days = np.column_stack([load[:-1], holiday[1:]])
    X = np.lib.stride_tricks.sliding_window_view(days, WINDOW, axis=0).transpose(0, 2, 1)
    return np.ascontiguousarray(X), load[WINDOW:]


def linear_forecast(X, y, train, days=8, penalty=10.0):
    """Ridge regression on the last days, with the settings that do best on the held-out year."""
    A = X[:, -days:].reshape(len(X), -1)
    A = np.column_stack([A, np.ones(len(A))])
    products = A[train].T @ A[train] + penalty * np.eye(A.shape[1])
    return A @ np.linalg.solve(products, A[train].T @ y[train])


def draw(load, forecasts, first, path="forecast.png"):
    """Two weeks from a Monday on: the load, and the forecasts, each made at midnight for the day to come."""
    try:
        from matplotlib import pyplot
    except ImportError:
        return
    part = slice(first, first + 14)
    hours = np.arange(14 * 24) / 24
    pyplot.rcParams.update(fn.plot.style())
    figure, axes = pyplot.subplots(len(forecasts), figsize=(10, 6), sharex=True, layout="constrained")
    for axis, (name, forecast) in zip(axes, forecasts.items(), strict=True):
        axis.fill_between(hours, load[part].ravel(), facecolor="0.85", edgecolor="0.5", label="as it was")
        axis.plot(hours, forecast[part].ravel(), color="C0", label=name)
        axis.legend(loc="upper right", ncols=2, frameon=False)
        axis.set(xlim=(0, 14), ylim=(0, 1.3 * load[part].max()), ylabel="load")
    axes[-1].set(xlabel="day", xticks=range(15))
    figure.savefig(path, dpi=110)
    print("wrote", path)


def main():
    """Train on three years and forecast each day of the fourth."""
    parser = argparse.ArgumentParser(description="Forecast the load of the next day.")
    parser.add_argument("--epochs", type=int, default=60)
    epochs = parser.parse_args().epochs
    load, holiday = draw_load(np.random.default_rng(0))
    X, y = windows(load, holiday)
    train, test = slice(None, -HELD_OUT), slice(-HELD_OUT, None)

    steps = epochs * -(-len(X[train]) // 32)
    optimizer = fn.AdamW(fn.schedules.cosine(5e-3, steps), weight_decay=0.1, global_clipnorm=1.0)
    model = fn.Model([fn.GRU(48), fn.Dense(24)], "mse", optimizer, seed=0)
    model.fit(X[train], y[train], epochs=epochs, batch_size=32)

    forecasts = {"last week": X[:, -7, :24], "linear": linear_forecast(X, y, train), "GRU": model.predict(X)}
    today, week_ago = holiday[WINDOW:], holiday[WINDOW - 7 : -7]
    kinds = {"all days": np.ones(len(y), bool), "holidays": today, "a week after one": week_ago & ~today}
    kinds["the others"] = ~today & ~week_ago
    print("root mean squared error on the held-out year" + "".join(f"{name:>12}" for name in forecasts))
    for kind, chosen in kinds.items():
        errors = [np.sqrt(np.mean((f - y)[test][chosen[test]] ** 2)) for f in forecasts.values()]
        count = np.count_nonzero(chosen[test])
        print(f"{kind:>30} {count:4} days   " + "".join(f"{error:12.3f}" for error in errors))
    calendar = np.arange(DAYS)[WINDOW:]
    chosen = np.flatnonzero(today & (calendar % 7 == 2) & (calendar >= DAYS - HELD_OUT))
    draw(y, forecasts, chosen[0] - 2)


if __name__ == "__main__":
    main()
