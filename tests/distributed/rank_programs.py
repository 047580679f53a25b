"""What several processes do in `test_data_parallel`: ``mpiexec -n 2 python rank_programs.py NAME FOLDER``."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np

import fastnn as fn

N = 1000


def _of_mpi():
    from mpi4py import MPI

    return MPI.COMM_WORLD, MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size


def _of_gloo(folder):
    import torch.distributed as dist

    rank, size = int(os.environ["RANK"]), int(os.environ["RANKS"])
    dist.init_process_group("gloo", f"file://{folder}/group", rank=rank, world_size=size)
    return dist.group.WORLD, rank, size


def samples(n=N, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6))
    return X, np.sin(X[:, :2])


def part(*arrays):
    """This process's part of the rows of arrays; the parts are not equal."""
    n, shares = len(arrays[0]), np.arange(1, SIZE + 1) + 3
    first = np.append(0, shares.cumsum() * n // shares.sum())
    found = [None if array is None else array[first[RANK] : first[RANK + 1]] for array in arrays]
    return found if len(found) > 1 else found[0]


def net(
    *more,
    width=16,
    seed=1,
    loss="mse",
    outputs=2,
    dtype="float32",
    metrics=("mae", "r2"),
    kind=fn.Adam,
    **optimizer,
):
    layers = [fn.Dense(width, "tanh", l2=1e-4), *more, fn.Dense(outputs)]
    return fn.Model(layers, loss, kind(0.01, **optimizer), metrics, dtype=dtype, seed=seed)


def both(make, X, y, sample_weight=None, validation=None, **options):
    """A model trained by this process alone with all rows, one by all processes, and one more by all."""
    alone, shared, again = make(), make(), make()
    histories = [
        alone.fit(X, y, sample_weight=sample_weight, validation_data=validation, epochs=4, **options)
    ]
    if validation is not None:
        validation = part(*validation)
    rows, targets, weight = part(X, y, sample_weight)
    for model in (shared, again):
        history = model.fit(
            rows,
            targets,
            sample_weight=weight,
            validation_data=validation,
            epochs=4,
            comm=COMM,
            **options,
        )
        histories.append(history)
    return (alone, shared, again), histories


def require_same(models, histories, close=True):
    """That shared fits have the same bits, on all ranks, and are as those of a process alone."""
    alone, shared, again = models
    assert np.array_equal(shared.parameters, again.parameters)
    assert histories[1].history == histories[2].history
    first = COMM_OBJECTS(shared.parameters.tobytes())
    assert all(own == first[0] for own in first)
    logs = COMM_OBJECTS(histories[1].history)
    assert all(own == logs[0] for own in logs)
    if SIZE == 1:
        assert np.array_equal(alone.parameters, shared.parameters)
        assert histories[0].history == histories[1].history
        assert np.array_equal(alone.state.optimizer, shared.state.optimizer)
    elif close:
        tolerance = 1e-12 if alone.dtype == "float64" else 1e-5
        np.testing.assert_allclose(shared.parameters, alone.parameters, rtol=tolerance, atol=tolerance)
        for name, values in histories[0].history.items():
            np.testing.assert_allclose(
                histories[1].history[name], values, rtol=tolerance, atol=tolerance, err_msg=name
            )
    assert histories[0].learning_rate == histories[1].learning_rate


def values(folder):
    X, y = samples()
    weight = np.random.default_rng(3).uniform(0.5, 2, N)
    validation = samples(300, 1)
    order = lambda epoch: np.random.default_rng(epoch).permutation(N)  # noqa: E731
    for model, options in [
        ({}, {"validation": validation}),
        ({"global_clipnorm": 0.1}, {"batch_size": 100, "validation": (*validation, weight[:300])}),
        ({}, {"sample_weight": weight, "batch_size": 64}),
        ({}, {"batch_size": None}),
        ({"dtype": "float64"}, {"shuffle": order, "batch_size": 3}),
        ({"width": 1200, "outputs": 40, "dtype": "float64"}, {"batch_size": 250}),
    ]:
        outputs = model.get("outputs", 2)
        targets = np.tile(y, (1, outputs // 2))
        require_same(*both(lambda model=model: net(**model), X, targets, **options))
    # What differs from a process alone: other random numbers, other rows of a batch, other moments.
    require_same(*both(lambda: net(fn.Dropout(0.2)), X, y), close=False)
    require_same(*both(net, X, y, shuffle=False), close=False)
    models, histories = both(lambda: net(fn.BatchNormalization()), X, y, validation=validation)
    require_same(models, histories, close=False)
    moving = COMM_OBJECTS(models[1].state.statistics.tobytes())
    assert all(own == moving[0] for own in moving)
    assert histories[1].history["val_loss"][-1] < histories[1].history["val_loss"][0]


class Counted:
    """A communicator that counts its messages, by what ranks meet for."""

    def __init__(self):
        from fastnn.distributed.transport import connect

        self._transport, self.messages = connect(COMM), Counter()

    def __getattr__(self, name):
        return getattr(self._transport, name)

    def all_gather(self, rows):
        from fastnn.distributed.ranks import Doing

        if rows.dtype == np.uint8:
            self.messages[Doing(int(rows[RANK, :8].view(np.float64)[0])).name] += 1
        self._transport.all_gather(rows)


def messages_of_a_step(*more):
    """How many exchanges there are in a step, and how many at its end."""
    X, y = samples(240)
    counted = Counted()
    net(*[layer() for layer in more]).fit(*part(X, y), batch_size=24, comm=counted)
    return counted.messages["EXCHANGE"] / 10, counted.messages["STEP"] / 10


def normalized(**options):
    return fn.BatchNormalization(synchronized=True, **options)


def synchronized(folder):
    """Moments of the rows of all: weights, logs and moving averages of one process with them."""
    X, y = samples(270)
    weight = np.random.default_rng(3).uniform(0.5, 2, 270)
    validation = samples(100, 1)
    branch = lambda: fn.Residual([fn.Dense(16, "tanh"), normalized(scale=False)])  # noqa: E731
    images = lambda: fn.Sequential(  # noqa: E731
        [fn.Reshape((4, 4, 1)), fn.Conv2D(3, 3), normalized(), fn.Activation("tanh"), fn.Flatten()]
    )

    def fixed():
        layer = normalized()
        layer.trainable = False
        return layer

    for more, model, options in [
        ([normalized], {}, {"validation": validation}),
        ([normalized, branch], {"dtype": "float64"}, {"sample_weight": weight, "batch_size": 64}),
        ([lambda: normalized(center=False), branch], {}, {"batch_size": None}),
        ([branch, images], {"dtype": "float64"}, {"batch_size": 5}),  # at times no row of a rank's
        ([fixed, normalized], {"dtype": "float64", "global_clipnorm": 0.1}, {"batch_size": 100}),
        (
            [normalized],
            {"width": 600, "outputs": 40, "dtype": "float64"},
            {"batch_size": 50, "threads": 2, "shuffle": lambda epoch: np.arange(270)},
        ),
        ([normalized, images], {"dtype": "float64"}, {"threads": 2, "batch_size": 200}),
    ]:
        targets = np.tile(y, (1, model.get("outputs", 2) // 2))

        def make(more=more, model=model):
            # Adam would divide the gradient of a bias before a normalization, rounding errors, by its size.
            return net(*[layer() for layer in more], kind=fn.SGD, **model)

        models, histories = both(make, X, targets, **options)
        require_same(models, histories)
        moving = [own.state.statistics for own in models]
        assert np.array_equal(moving[1], moving[2])
        assert len(set(COMM_OBJECTS(moving[1].tobytes()))) == 1
        tolerance = 1e-12 if models[0].dtype == "float64" else 1e-5
        np.testing.assert_allclose(moving[1], moving[0], rtol=tolerance, atol=tolerance)
        assert SIZE > 1 or np.array_equal(moving[0], moving[1])
    # Each synchronized layer has a message in both passes, and no other has any.
    if SIZE > 1:
        assert messages_of_a_step() == messages_of_a_step(fn.BatchNormalization) == (0, 1)
        assert messages_of_a_step(normalized, fn.BatchNormalization, branch) == (4, 1)
    models, histories = both(lambda: net(normalized(), fn.BatchNormalization()), X, y, batch_size=5)
    require_same(models, histories, close=False)


def equal_part(*arrays):
    """This process's part of the rows of arrays, where the parts of shards are equal."""
    return [array[RANK * len(array) // SIZE : (RANK + 1) * len(array) // SIZE] for array in arrays]


def digest(model):
    """Of the weights and of the optimizer's memory."""
    assert len(set(COMM_OBJECTS(model.parameters.tobytes()))) == 1
    return [hashlib.sha256(own).hexdigest() for own in (model.parameters, model.state.optimizer)]


def write(folder, name, found):
    """Write what rank 0 has found where the test reads it."""
    if RANK == 0:
        (folder / f"{name}-{SIZE}.json").write_text(json.dumps(found))


def sharded(**options):
    more = fn.Dropout(0.3), fn.BatchNormalization(), fn.Dense(8, "relu")
    return net(*more, global_clipnorm=0.5, **options)


def shards(folder):
    """Bits of fits with shards, which are those of any number of ranks."""
    X, y = samples()
    weight, found = np.random.default_rng(3).uniform(0.5, 2, N), []
    for settings, options in [
        ({}, {}),
        ({"dtype": "float64"}, {"batch_size": 2, "epochs": 1}),  # most shards have no row of a batch
        ({"dtype": "float64"}, {"batch_size": 2, "epochs": 1, "shuffle": False}),
        ({"width": 600, "outputs": 40}, {"batch_size": 250}),
        ({"width": 600, "outputs": 40, "dtype": "float64"}, {"batch_size": 250, "threads": 2}),
    ]:
        targets = np.tile(y, (1, settings.get("outputs", 2) // 2))
        model = sharded(**settings)
        rows, own, own_weight = equal_part(X, targets, weight)
        options = {"epochs": 3, "validation_data": tuple(equal_part(X[:302], targets[:302])), **options}
        history = model.fit(rows, own, sample_weight=own_weight, comm=COMM, shards=4, **options)
        statistics = hashlib.sha256(model.state.statistics).hexdigest()
        found.append([digest(model), statistics, history.history])
    write(folder, "shards", found)


def shards_interrupted(folder):
    """A checkpoint in the middle of an epoch, and what the same fit comes to where it is not interrupted."""
    from fastnn.training import loop
    from fastnn.training.rank_loop import RankTraining

    rows, own = equal_part(*samples())
    whole, model = sharded(), sharded()
    whole.fit(rows, own, batch_size=10, epochs=3, comm=COMM, shards=4)
    write(folder, "whole", digest(whole))

    def interrupt(training, now, always=True):
        if training.state.step == 230:
            raise KeyboardInterrupt

    loop.SLICE, RankTraining._require_finite = 1e-9, interrupt
    try:
        model.fit(rows, own, batch_size=10, epochs=9, comm=COMM, shards=4)
    except KeyboardInterrupt:
        assert model.state.position == 300
    if RANK == 0:
        model.save(folder / f"model-{SIZE}.safetensors", training=True)


def shards_resumed(folder):
    """The checkpoints of other numbers of ranks come to the same."""
    rows, own = equal_part(*samples())
    found = []
    for path in sorted(folder.glob("model-*.safetensors")):
        model = fn.load(path) if RANK == 0 else sharded()
        model.fit(rows, own, batch_size=10, epochs=1, resume=True, comm=COMM, shards=4)
        found.append(digest(model))
    write(folder, "resumed", found)


def classes(folder):
    X, labels = fn.datasets.spiral(100, 3, seed=0)
    keep = np.arange(len(X)) % 7 > 2 * (labels == 1)
    X, labels = X[keep], labels[keep]

    def make():
        layers = [fn.Dense(16, "tanh"), fn.Dense(3)]
        return fn.Model(layers, "cross_entropy", fn.SGD(0.1), dtype="float64", seed=0)

    require_same(*both(make, X, labels, class_weight="balanced"))
    require_same(*both(make, X, labels, class_weight={0: 2.0, 2: 0.5}))
    several = np.stack([labels == 0, labels > 0], axis=1)

    def make_several():
        layers = [fn.Dense(16, "tanh"), fn.Dense(2, "sigmoid")]
        return fn.Model(layers, "binary_cross_entropy", fn.SGD(0.1), dtype="float64", seed=0)

    require_same(*both(make_several, X, several, class_weight=["balanced", {0: 1.0, 1: 3.0}]))


def sequences(folder):
    rng = np.random.default_rng(0)
    X, lengths = rng.normal(size=(200, 5, 3)), rng.integers(1, 6, 200)
    y = X[:, 0, :1]
    models = [fn.Model([fn.GRU(8), fn.Dense(1)], "mse", dtype="float64", seed=0) for _ in range(2)]
    models[0].fit(X, y, lengths=lengths, epochs=3)
    rows, targets, own = part(X, y, lengths)
    models[1].fit(rows, targets, lengths=own, epochs=3, comm=COMM)
    np.testing.assert_allclose(models[0].parameters, models[1].parameters, rtol=1e-10, atol=1e-12)


def stopping(folder):
    X, y = samples()
    validation = samples(300, 1)
    found = []
    for comm in (None, COMM):
        model = net(dtype="float64")
        callbacks = [fn.EarlyStopping(patience=2, restore_best=True), fn.ReduceLROnPlateau(patience=1)]
        model.optimizer.learning_rate = 0.1
        data, held_out = ((X, y), validation) if comm is None else (part(X, y), part(*validation))
        options = {"validation_data": held_out, "callbacks": callbacks, "comm": comm}
        history = model.fit(*data, epochs=60, **options)
        found.append((history.epoch, history.learning_rate, callbacks[0].stopped_epoch, model.parameters))
    assert found[0][:3] == found[1][:3]
    assert found[0][2] is not None
    np.testing.assert_allclose(found[0][3], found[1][3], rtol=1e-9, atol=1e-12)
    model = net()  # one rank alone stops
    stop = [lambda epoch, logs: epoch == 2] if RANK == SIZE - 1 else []
    assert model.fit(*part(X, y), epochs=9, callbacks=stop, comm=COMM).epoch == [0, 1, 2]


def save(folder):
    X, y = samples()
    model = net(dtype="float64")
    checkpoint = fn.ModelCheckpoint(folder / "model.safetensors", training=True)
    log = fn.callbacks.CSVLogger(folder / "log.csv")
    lines = fn.callbacks.JSONLines(folder / "log.jsonl")
    model.fit(*part(X, y), epochs=3, callbacks=[checkpoint, log, lines], comm=COMM)


def resume(folder):
    X, y = samples()
    whole, alone = net(dtype="float64"), fn.load(folder / "model.safetensors")
    whole.fit(X, y, epochs=5)
    alone.fit(X, y, epochs=2, resume=True)
    shared = fn.load(folder / "model.safetensors") if RANK == 0 else net(dtype="float64", seed=99)
    shared.fit(*part(X, y), epochs=2, resume=True, comm=COMM)
    assert shared.state.epoch == 5
    np.testing.assert_allclose(shared.parameters, whole.parameters, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(shared.parameters, alone.parameters, rtol=1e-10, atol=1e-12)
    assert len((folder / "log.csv").read_text().splitlines()) == 4
    assert len((folder / "log.jsonl").read_text().splitlines()) == 3


def interrupted(folder):
    X, y = samples(20_000)
    whole, shared = net(dtype="float64"), net(dtype="float64")
    whole.fit(X, y, batch_size=1)

    def interrupt():  # in the second slice or the third, which have at most 100 and 10,000 steps
        while not (shared.executor.is_built and shared.executor.state.step):
            time.sleep(1e-3)
        os.kill(os.getpid(), signal.SIGINT)

    if RANK == SIZE - 1:
        threading.Thread(target=interrupt, daemon=True).start()
    try:
        shared.fit(*part(X, y), batch_size=1, comm=COMM)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("not interrupted")
    assert len(set(COMM_OBJECTS(tuple(shared.state.counters.tolist())))) == 1
    assert shared.state.position > 0
    history = shared.fit(*part(X, y), batch_size=1, resume=True, comm=COMM)
    np.testing.assert_allclose(shared.parameters, whole.parameters, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(history.history["loss"], whole.history.history["loss"], rtol=1e-8)


@contextmanager
def raises(kind, text):
    try:
        yield
    except kind as error:
        assert text in str(error), error
        assert type(error) is kind, error
    else:
        raise AssertionError(f"{kind} was not raised: {text}")


LAST = RANK = SIZE = 0


def mismatches(folder):
    """What one rank does otherwise is named on all, at once, and the model is as before."""
    X, y = part(*samples())
    own = RANK == LAST
    cases = [
        (net(width=16 + own), {}, "layer 0"),
        (net(dtype="float64" if own else "float32"), {}, "dtype must be the same on all ranks"),
        (net(global_clipnorm=1.0 + own), {}, "optimizer must be the same"),
        (
            net(),
            {"batch_size": 32 + own},
            "batch_size must be the same on all ranks, but is 32 on rank 0 and 33",
        ),
        (net(), {"epochs": 1 + own}, "epochs must be the same"),
        (net(), {"validation_data": (X, y) if own else None}, "validation data must be the same"),
        (net(), {"sample_weight": np.ones(len(X)) if own else None}, "sample_weight must be the same"),
        (net(metrics=("mae",) if own else ()), {}, "metrics must be the same"),
        (net(), {"shuffle": own}, "shuffle must be the same"),
        (net(fn.BatchNormalization(synchronized=own)), {}, "layer 1"),
        (net(), {"shards": 2 * (1 + own)}, "shards must be the same on all ranks, but is 2 on rank 0 and 4"),
        (net(), {"shards": 2}, "2 ranks must have [500, 500] of the 1000 samples"),
    ]
    for model, options, text in cases:
        with raises(ValueError, text):
            model.fit(X, y, comm=COMM, **options)
    with raises(ValueError, "the shape of a sample must be the same on all ranks"):
        net().fit(X[:, : 6 - own], y, comm=COMM)
    frozen = net()
    frozen.layers[0].trainable = not own
    with raises(ValueError, "layer 0"):
        frozen.fit(X, y, comm=COMM)
    import fastnn.distributed.agreement as agreement

    kept, agreement.__version__ = agreement.__version__, "0.0.9" if own else agreement.__version__
    with raises(ValueError, "the version of fastnn must be the same on all ranks"):
        net().fit(X, y, comm=COMM)
    agreement.__version__ = kept
    built = net().build(6)
    before = built.parameters.copy()
    bad = X.copy()
    bad[3, 2] = np.nan
    with raises(*((ValueError, "got nan at (3, 2)") if own else (fn.RankError, f"rank {LAST} failed"))):
        built.fit(bad if own else X, y, comm=COMM)
    assert np.array_equal(before, built.parameters)
    order = np.arange(N)
    with raises(fn.RankError, "shuffle gave another order"):
        net().fit(X, y, comm=COMM, shuffle=lambda epoch: order[::-1] if own else order)
    scaled = [fn.Model([fn.Standardize(), fn.Dense(2)], "mse", seed=0) for _ in range(2)]
    with raises(ValueError, "is not adapted to data yet, and with comm"):
        scaled[0].fit(X, y, comm=COMM)
    scaled[1].adapt(X * (1 + own))
    with raises(ValueError, "not adapted to the same data"):
        scaled[1].fit(X, y, comm=COMM)
    with raises(TypeError, "comm must be"):
        net().fit(X, y, comm="world")


def failures(folder):
    """An error of one rank in the middle ends all."""
    X, y = part(*samples())
    own = RANK == LAST

    def fails(epoch, logs):
        if own and epoch == 2:
            raise OSError("disk full")

    model = net()
    with raises(*((OSError, "disk full") if own else (fn.RankError, f"rank {LAST} failed, and all others"))):
        model.fit(X, y, epochs=9, callbacks=[fails], comm=COMM)
    assert model.history.epoch == [0, 1, 2]
    assert model.fit(X, y, epochs=2, comm=COMM).epoch == [0, 1]  # the communicator can still be used

    class Changes(fn.Callback):
        def on_epoch_end(self, epoch, logs):
            if own and epoch == 1:
                self.model.parameters[0] += 1

    with raises(fn.RankError, "its weights are not those of rank 0 any more"):
        net().fit(X, y, epochs=9, callbacks=[Changes()], comm=COMM)

    class EndsBadly(fn.Callback):
        def on_train_end(self):
            if own:
                raise OSError("at the end")

    with raises(*((OSError, "at the end") if own else (fn.RankError, "OSError: at the end"))):
        net().fit(X, y, callbacks=[EndsBadly()], comm=COMM)

    diverging = fn.Model([fn.Dense(8), fn.Dense(2)], "mse", fn.SGD(1e6), seed=0)
    try:
        diverging.fit(X, y, epochs=9, comm=COMM)
    except fn.DivergenceError as error:
        assert len(set(COMM_OBJECTS((error.epoch, error.step)))) == 1
    else:
        raise AssertionError("did not diverge")
    assert np.isfinite(diverging.parameters).all()


def uncaught(folder):
    """The error of one rank ends the program of all."""
    X, y = part(*samples())
    X[RANK] = np.nan if RANK == LAST else 0
    net().fit(X, y, comm=COMM)
    time.sleep(60)


class Breaks(Counted):
    """A communicator whose last rank does something else in the middle of a step."""

    def __init__(self, breaks):
        super().__init__()
        self._breaks = breaks

    def all_gather(self, rows):
        if RANK == LAST and self.messages["EXCHANGE"] == 100:
            self._breaks()
        super().all_gather(rows)


def killed_in_a_step(folder):
    comm = Breaks(lambda: os.kill(os.getpid(), signal.SIGKILL))
    net(normalized()).fit(*part(*samples()), epochs=1_000_000, comm=comm)


def uncaught_in_a_step(folder):
    def fails():
        raise OSError("the network is down")

    net(normalized()).fit(*part(*samples()), epochs=1_000_000, comm=Breaks(fails))


def killed(folder):
    X, y = part(*samples())

    def dies(epoch, logs):
        if RANK == LAST and epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    net().fit(X, y, epochs=1_000_000, callbacks=[dies], comm=COMM)


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    COMM, RANK, SIZE = _of_gloo(folder) if "RANKS" in os.environ else _of_mpi()
    LAST = SIZE - 1
    from fastnn.distributed.transport import connect

    COMM_OBJECTS = connect(COMM).gather_objects
    globals()[sys.argv[1]](folder)
    print("done", flush=True)
    if "RANKS" in os.environ:
        import torch.distributed

        torch.distributed.barrier()
        os._exit(0)  # at the end of Python, a thread of gloo's may abort the process
