"""Messages say what was given, which argument it is, and what to write instead."""

import os

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import fastnn as fn
import fastnn.onnx

X, Y = np.zeros((6, 4)), np.zeros(6)


def model(n_in=4):
    return fn.Model([fn.Dense(1)], "mse", seed=0).build(n_in)


class Tensor:
    """As those of PyTorch."""

    shape = (6, 4)

    def __init__(self, requires_grad):
        self.requires_grad = requires_grad

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("Can't call numpy() on Tensor that requires grad, or lies elsewhere.")


SUGGESTIONS = {
    "a near loss": (
        lambda: fn.Model([fn.Dense(1)], "msee"),
        ValueError,
        "'msee'; did you mean 'mse'?; known",
    ),
    "a near activation": (lambda: fn.Dense(1, "ReLu"), ValueError, "did you mean 'relu'?"),
    "a near optimizer": (lambda: fn.Model([fn.Dense(1)], "mse", "adan"), ValueError, "did you mean 'adam'?"),
    "a near metric": (lambda: fn.Model([fn.Dense(1)], "mse", metrics=["acuracy"]), ValueError, "'accuracy'?"),
    "a near initializer": (lambda: fn.Dense(1, kernel_initializer="he_norml"), ValueError, "'he_normal'?"),
    "a near name": (lambda: fn.Dens, AttributeError, "no attribute 'Dens'; did you mean 'Dense'?"),
    "a loss": (lambda: fn.Model([fn.Dense(1)], fn.losses.mse), TypeError, "; call it: mse()"),
    "an activation": (lambda: fn.Dense(1, fn.activations.elu), TypeError, "; call it: elu()"),
    "an optimizer": (lambda: fn.Model([fn.Dense(1)], "mse", fn.Adam), TypeError, "; call it: Adam()"),
    "a schedule": (lambda: fn.Adam(fn.schedules.cosine), TypeError, "; call it: cosine(...)"),
    "an initializer": (
        lambda: fn.Dense(1, kernel_initializer=fn.initializers.constant),
        TypeError,
        "; call it: constant(...)",
    ),
    "a layer": (lambda: fn.Model([fn.Dense], "mse"), TypeError, "; call it: Dense(...)"),
    "a callback": (
        lambda: model().fit(X, Y, callbacks=[fn.EarlyStopping]),
        TypeError,
        "call it: EarlyStopping()",
    ),
    "a function": (
        lambda: fn.Dense(1, lambda x: x),
        TypeError,
        "; fn.register_activation makes one from a function",
    ),
    "a sparse matrix": (
        lambda: model().predict(scipy.sparse.csr_matrix(X)),
        TypeError,
        "X must be a dense array, got csr_matrix; use X.toarray()",
    ),
    "a Series": (lambda: model(1).fit(pd.Series(Y), Y), ValueError, "use X.to_frame() if it is a column"),
    "a Series to predict": (
        lambda: model(1).predict(pd.Series(Y)),
        ValueError,
        "X.to_frame() if it is a column",
    ),
    "a column": (
        lambda: model(1).predict(Y),
        ValueError,
        "got shape (6,); use X.reshape(-1, 1) for a column",
    ),
    "images": (
        lambda: model().fit(np.zeros((6, 2, 2)), Y),
        ValueError,
        "shape (6, 2, 2); use X.reshape(len(X), -1)",
    ),
    "images to predict": (
        lambda: model().predict(np.zeros((6, 2, 2))),
        ValueError,
        "use X.reshape(len(X), -1)",
    ),
    "images in colour": (
        lambda: model().predict(np.zeros((6, 2, 2, 3))),
        ValueError,
        "X.reshape(len(X), -1)",
    ),
    "one image": (
        lambda: model().predict(np.zeros((2, 2))),
        ValueError,
        "use X.reshape(1, -1) if it is one sample",
    ),
    "a tensor with gradients": (
        lambda: model().predict(Tensor(True)),
        TypeError,
        "X must not require gradients, got Tensor; use X.detach()",
    ),
    "targets with gradients": (
        lambda: model().fit(X, Tensor(True)),
        TypeError,
        "y must not require gradients",
    ),
    "a tensor elsewhere": (
        lambda: model().predict(Tensor(False)),
        ValueError,
        "X cannot be converted to an array: ",
    ),
    "tensors in a list": (lambda: model().fit([Tensor(True)] * 6, Y), ValueError, "X cannot be converted"),
}


@pytest.mark.parametrize(("call", "error", "piece"), SUGGESTIONS.values(), ids=SUGGESTIONS)
def test_what_to_write_instead(call, error, piece):
    with pytest.raises(error) as caught:
        call()
    assert piece in str(caught.value)


def test_no_name_is_suggested_where_none_is_near():
    with pytest.raises(ValueError, match="unknown loss 'hinge_of_its_own'; known are"):
        fn.Model([fn.Dense(1)], "hinge_of_its_own")


WRITERS = {
    "save": lambda path: model().save(path),
    "save with training": lambda path: model().save(path, training=True),
    "onnx.export": lambda path: fn.onnx.export(model(), path),
    "CSVLogger": lambda path: model().fit(X, Y, callbacks=[fn.CSVLogger(path)]),
    "ModelCheckpoint": lambda path: model().fit(X, Y, callbacks=[fn.ModelCheckpoint(path)]),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_path_that_leads_nowhere_is_named_as_it_was_given(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as caught:
        write("no/such/dir/model.bin")
    assert "no/such/dir/model.bin" in str(caught.value) and ".tmp" not in str(caught.value)
    with pytest.raises(OSError) as caught:
        write("")
    assert os.listdir(tmp_path) == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write("folder")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file/model.bin"):
        write("file/model.bin")


def test_the_kind_of_error_is_that_of_the_system(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def no_space(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left on device: 'model.safetensors'") as caught:
            model().save("model.safetensors")
    assert caught.value.errno == 28 and caught.value.filename == "model.safetensors"
    assert os.listdir(tmp_path) == []


# ---- what is shown -----------------------------------------------------------------------------

SHOWN = {
    "leaky_relu(negative_slope=0.2)": lambda: fn.activations.leaky_relu(0.2),
    "'leaky_relu'": lambda: fn.activations.leaky_relu(),
    "Dense(3)": lambda: fn.Dense(3),
    "Dense(3, 'relu')": lambda: fn.Dense(3, "relu"),
    "Dense(3, leaky_relu(negative_slope=0.2))": lambda: fn.Dense(3, fn.activations.leaky_relu(0.2)),
    "Dense(3, 'tanh', use_bias=False, kernel_initializer='zeros', l2=0.5)": lambda: fn.Dense(
        3, "tanh", use_bias=False, kernel_initializer="zeros", l2=0.5
    ),
    "Activation(elu(alpha=2.0))": lambda: fn.Activation(fn.activations.elu(2)),
    "huber(delta=0.5)": lambda: fn.losses.huber(0.5),
    "'huber'": lambda: fn.losses.huber(),
    "mse().scaled(0.5)": lambda: fn.losses.mse().scaled(0.5),
    "quantile(q=0.9).scaled(2.0)": lambda: fn.losses.quantile(0.9).scaled(2),
    "step(learning_rate=0.1, every=5.0, factor=0.5)": lambda: fn.schedules.step(0.1, every=5, factor=0.5),
    "constant(value=1.0)": lambda: fn.initializers.constant(1),
    "OneHot([0], categories=[[1, 2]], handle_unknown='ignore')": lambda: fn.OneHot(0, [[1, 2]], "ignore"),
    "OneHot(categories=[['a', 'b']])": lambda: fn.OneHot(categories=[["a", "b"]]),
    "Model([Dense(1)], loss='mse')": lambda: fn.Model([fn.Dense(1)], "mse"),
    "Model([Dense(1)], loss=huber(delta=2.0), dtype='float64')": lambda: fn.Model(
        [fn.Dense(1)], fn.losses.huber(2), dtype="float64"
    ),
    "EarlyStopping(monitor='loss', patience=3, mode='min')": lambda: fn.EarlyStopping("loss", patience=3),
    "CSVLogger(path='log.csv')": lambda: fn.CSVLogger("log.csv"),
    "Ensemble of 2 models, combine='mean', weights=(0.25, 0.75)": lambda: fn.Ensemble(
        [model(), model()], weights=[1, 3]
    ),
}


@pytest.mark.parametrize(("text", "make"), SHOWN.items(), ids=SHOWN)
def test_settings_are_shown(text, make):
    assert repr(make()) == text


def test_what_is_written_makes_the_same():
    names = {**vars(fn), **vars(fn.activations), **vars(fn.losses)}
    for make in (SHOWN["Dense(3, leaky_relu(negative_slope=0.2))"], SHOWN["mse().scaled(0.5)"]):
        assert repr(eval(repr(make()), names)) == repr(make())
    layer = SHOWN["Dense(3, 'tanh', use_bias=False, kernel_initializer='zeros', l2=0.5)"]()
    assert eval(repr(layer), names).config() == layer.config()


MODULES = ["activations", "callbacks", "datasets", "initializers", "losses", "metrics", "onnx", "optimizers"]
MODULES += ["plot", "schedules", "scipy", "sklearn"]


@pytest.mark.parametrize("name", MODULES)
def test_dir_of_a_module_shows_what_is_public(name):
    module = getattr(fn, name)
    assert dir(module) == sorted(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)
    for table in (getattr(module, "TABLE", {}),):
        made = {key for key, value in table.items() if getattr(value, "__module__", "") == module.__name__}
        assert {getattr(table[key], "__name__", "Metric") for key in made} <= set(module.__all__)


def test_dir_of_fastnn_shows_what_is_public():
    assert set(fn.__all__) < set(dir(fn))
    assert set(dir(fn)) - set(fn.__all__) == {"__version__", "onnx", "river", "scipy", "sklearn"}
