"""Seeded faults in the short ways of calls, which leave out what an earlier call checked: see `mutants`."""

from tests.guarantees.seeded_faults import Mutant


def of(file, before, after, *tests):
    """A fault of the package's Python code, or of the kernel of short fits."""
    return Mutant(file, before, after, tuple(f"tests/{test}" for test in tests), compiled=True)


WAYS, FITS = "training/test_short_ways.py", "training/test_short_fits.py"
STEPS = "sklearn/test_short_steps.py"
SAMPLES, SHORT, STEP = "engine/samples", "training/short_fit", "sklearn/_short_step"

CALLS = {
    # what was learned holds for other samples than it should
    "samples known by their shapes alone": of(
        SAMPLES,
        "return (X.shape, X.dtype, y.shape, y.dtype) if",
        "return (X.shape, y.shape) if",
        WAYS,
        FITS,
    ),
    "samples known whatever the targets are": of(
        SAMPLES,
        "return (X.shape, X.dtype, y.shape, y.dtype) if type(y)",
        "return (X.shape, X.dtype) if True or type(y)",
        WAYS,
        FITS,
    ),
    "samples not checked": of(SAMPLES, "        self._check()\n", "", WAYS, FITS),
    "the model's range of targets not kept": of(
        SAMPLES, 'low, high, row["whole"] = limits', "low, high = -np.inf, np.inf", WAYS, FITS
    ),
    "samples known to a model with names": of(SAMPLES, " or self._columns.names:", ":", WAYS),
    "samples kept in use by two calls": of(
        SAMPLES, "self._free.pop(_kind(X, y), None)", "self._free.get(_kind(X, y))", WAYS
    ),
    # what was learned of the model is stale
    "settings of the optimizer not compared": of(
        "engine/optimizer_rows",
        "return trained == self._trained and self.has_seen(optimizer)",
        "return trained == self._trained",
        WAYS,
    ),
    "frozen layers not compared": of(
        "engine/optimizer_rows",
        "return trained == self._trained and self.has_seen(optimizer)",
        "return self.has_seen(optimizer)",
        WAYS,
    ),
    "memory of the optimizer not compared": of(
        SHORT, "or state.optimizer is not self._optimizer:", "or False:", FITS
    ),
    "number of rows not compared": of(
        SHORT, "kind := (len(data.X), epochs, shuffle)", "kind := (0, epochs, shuffle)", FITS
    ),
    "number of epochs not compared": of(
        SHORT, ") != self._kind:", ")[::2] != (self._kind or (0, 0, 0))[::2]:", FITS
    ),
    "interrupted epochs not ended": of(SHORT, "or state.interrupted_epoch is not None\n", "\n", WAYS, FITS),
    "the seed not taken over": of(SHORT, "net.fields.seed = state.seed\n", "pass\n", WAYS),
    # what a short fit does
    "vectors not copied": of("fit", "    _keep(row, T)\n", "", FITS, WAYS),
    "vectors not brought back": of("fit", "        _bring_back(row, T)\n", "", FITS, WAYS),
    "vectors not looked at": of(
        "fit", "net.status == OK and _are_finite(row, T)", "net.status == OK", FITS, WAYS
    ),
    "the last vector not looked at": of(
        "fit",
        "if not is_finite(view(vector.values, vector.size, T)):",
        "if i < row.n_vectors - 1 and not is_finite(view(vector.values, vector.size, T)):",
        FITS,
        WAYS,
    ),
    "the last batch left out": of(
        "fit",
        "(net.n_samples + net.batch_size - 1) // net.batch_size",
        "net.n_samples // net.batch_size",
        FITS,
    ),
    "counters not written": of(
        "fit",
        "        counters[0], counters[1], counters[2] = net.step, net.epoch, 0\n",
        "        counters[2] = 0\n",
        FITS,
    ),
    "samples as they come": of(
        "fit", "net.team = row.order, 0, row.history, 1", "net.team = 0, 0, row.history, 1", FITS
    ),
    # arguments of fit that a short one does not look at
    "callbacks left out": of(SHORT, "        and not callbacks\n", "", FITS),
    "epochs of any kind": of(
        SHORT, "        type(epochs) is int\n        and epochs > 0\n", "        epochs > 0\n", FITS
    ),
    # steps of estimators
    "parameters not compared": of(
        STEP, "            or not _are_same(step.get(self), step.parameters)\n", "", STEPS
    ),
    "lists of parameters taken for fixed": of(
        STEP, "            and all(map(_is_fixed, parameters))\n", "", STEPS
    ),
    "assigned weights not compared": of(
        STEP, "            or not _are_same(_arrays(self), step.arrays)\n", "", STEPS
    ),
    "classes not compared": of("sklearn/_classifier", "if known.all() else None", "if True else None", STEPS),
    "kinds of samples not compared": of(STEP, " or _kind(X, y) != step.kind:", ":", STEPS),
    "what was learned pickled": of(STEP, '        state.pop("_step", None)\n', "", STEPS),
    "improvement not counted": of(
        STEP, "        self._no_improvement_count = epoch_end.no_improvement\n", "", STEPS
    ),
}
