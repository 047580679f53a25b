"""Optuna prunes bad trials
========================

Optuna looks for a network that reads handwritten digits, and ends bad trials early.

::

    python examples/search_optuna.py [--trials 40]

It needs Optuna, the extra `optuna`; the picture needs matplotlib.
"""

import argparse
import time

import optuna

import fastnn as fn

parser = argparse.ArgumentParser(description="Search widths, learning rate and dropout with Optuna.")
parser.add_argument("--trials", type=int, default=40)
trials = parser.parse_args().trials

X, y = fn.datasets.digits()
X = X / 16


def objective(trial):
    width = trial.suggest_int("width", 4, 128, log=True)
    rate = trial.suggest_float("rate", 1e-4, 0.3, log=True)
    dropout = trial.suggest_float("dropout", 0.0, 0.5)
    layers = [fn.Dense(width, "relu"), fn.Dropout(dropout), fn.Dense(10)]
    model = fn.Model(layers, "cross_entropy", fn.Adam(rate), seed=0)
    pruning = fn.OptunaPruning(trial, "val_accuracy")
    history = model.fit(X, y, epochs=20, validation_split=0.25, callbacks=[pruning])
    return history.history["val_accuracy"][-1]


optuna.logging.set_verbosity(optuna.logging.WARNING)
study = optuna.create_study(
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=3),
)
start = time.perf_counter()
study.optimize(objective, n_trials=trials, catch=fn.DivergenceError)
seconds = time.perf_counter() - start

states = [trial.state.name for trial in study.trials]
epochs = sum(len(trial.intermediate_values) for trial in study.trials)
print(f"{trials} trials in {seconds:.2f} s, {states.count('PRUNED')} of them pruned: {epochs} epochs")
print(f"the best: {study.best_value:.1%}", ", ".join(f"{k}={v:.3g}" for k, v in study.best_params.items()))

# %%
# The accuracy of each trial, epoch by epoch: those that fall behind end early.
try:
    from matplotlib import pyplot as plt
except ImportError:
    raise SystemExit("For a picture, install matplotlib.") from None
plt.rcParams.update(fn.plot.style())
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
for trial in study.trials:
    pruned = trial.state.name == "PRUNED"
    style = {"color": "C1", "linestyle": "--"} if pruned else {"color": "C0"}
    axes.plot(list(trial.intermediate_values), list(trial.intermediate_values.values()), linewidth=1, **style)
axes.plot([], [], color="C0", label="finished")
axes.plot([], [], "--", color="C1", label="pruned")
axes.set(xlabel="epoch", ylabel="accuracy on held-out digits", ylim=(0, 1))
axes.legend(frameon=False)
figure.savefig("search_optuna.png", dpi=120)
print("search_optuna.png")
