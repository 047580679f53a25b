"""Weights from and for PyTorch; what it gave once is in tests/fixtures (tools/make_torch_fixtures.py)."""

import copy
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import fastnn as fn
from tests.helpers.rejections import refused

DATA = Path(__file__).parents[1] / "fixtures"
ACTIVATIONS = np.load(DATA / "torch_activations.npz")
SEQUENTIAL = np.load(DATA / "torch_sequential.npz")
SETTINGS = {"leaky_relu": {"negative_slope": 0.2}, "elu": {"alpha": 0.5}}


def activation(name):
    return getattr(fn.activations, name)(**SETTINGS.get(name, {}))


def twin(**options):
    """The model of `torch_sequential`."""
    layers = [fn.Dense(8, "relu"), fn.Dense(6, "tanh", use_bias=False), fn.Dropout(0.1), fn.Dense(6)]
    layers += [fn.Activation("identity"), fn.Activation("identity"), fn.Dense(5, "silu"), fn.Dense(2)]
    return fn.Model(layers, **options)


def state(dtype="float32"):
    return load_file(DATA / "torch_sequential_float32.safetensors")


@pytest.mark.parametrize("name", fn.activations.TABLE)
def test_outputs_of_pytorch(name):
    weights = {key: ACTIVATIONS[f"{name}/0.{key}"] for key in ("weight", "bias")}
    model = fn.Model([fn.Dense(3, activation(name))], dtype="float64")
    assert fn.load_torch({f"0.{key}": value for key, value in weights.items()}, model) is model
    np.testing.assert_allclose(model.predict(ACTIVATIONS["x"]), ACTIVATIONS[f"{name}/y"], rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16"])
def test_file_of_pytorch(kind, dtype):
    model = fn.load_torch(DATA / f"torch_sequential_{kind}.safetensors", twin(dtype=dtype))
    np.testing.assert_allclose(model.predict(SEQUENTIAL["x"]), SEQUENTIAL[kind], rtol=1e-5, atol=1e-6)


def test_the_order_of_the_keys_does_not_matter():
    given = state()
    expected = fn.load_torch(given, twin()).parameters
    for keys in (sorted(given), sorted(given, reverse=True)):
        prefixed = {f"module.net.{key}": given[key] for key in keys}
        assert np.array_equal(fn.load_torch(prefixed, twin()).parameters, expected)
    names = {"fc1": "0", "fc2": "2", "fc3": "5", "fc4": "8", "fc10": "10"}
    named = {
        f"{name}.{key.split('.')[1]}": given[key]
        for name, n in names.items()
        for key in given
        if key.startswith(f"{n}.")
    }
    assert np.array_equal(fn.load_torch(named, twin()).parameters, expected)


def test_names_without_numbers_are_taken_in_the_order_of_the_dict(tmp_path):
    rng = np.random.default_rng(0)
    given = {"hidden.weight": rng.normal(size=(3, 2)), "hidden.bias": rng.normal(size=3)}
    given |= {"exit.weight": rng.normal(size=(3, 3)), "exit.bias": rng.normal(size=3)}
    model = fn.load_torch(given, fn.Model([fn.Dense(3), fn.Dense(3)], dtype="float64"))
    assert np.array_equal(model.layers[0].weights, given["hidden.weight"].T)
    save_file(given, tmp_path / "m")
    with pytest.raises(ValueError, match="order of .*hidden"):
        fn.load_torch(tmp_path / "m", fn.Model([fn.Dense(3), fn.Dense(3)]))


def test_a_linear_alone():
    model = fn.load_torch({"weight": np.ones((2, 3)), "bias": np.zeros(2)}, fn.Model([fn.Dense(2)]))
    assert model.predict([1, 2, 3]).tolist() == [6, 6]


def test_there_and_back(tmp_path):
    model = fn.load_torch(state(), twin())
    again = model.to_torch_state(as_numpy=True)
    assert sorted(again) == sorted(state())
    for key, value in state().items():
        assert np.array_equal(again[key], value) and again[key].flags.c_contiguous
        assert not np.shares_memory(again[key], model.parameters)
    save_file(again, tmp_path / "m")
    assert np.array_equal(fn.load_torch(tmp_path / "m", twin()).parameters, model.parameters)


def test_training_is_left_as_it_stands():
    model = twin(loss="mse").build(4)
    model.fit(np.ones((8, 4)), np.ones((8, 2)), epochs=2)
    memory = model.state.optimizer.copy()
    fn.load_torch(state(), model)
    assert np.array_equal(model.state.optimizer, memory) and model.state.step == 2


def changed(**edits):
    return {**state(), **{key.replace("_", "."): value for key, value in edits.items()}}


def without(*keys):
    return {key: value for key, value in state().items() if key not in keys}


ZEROS = np.zeros(8, np.float32)


@pytest.mark.parametrize(
    ("given", "error", "piece"),
    [
        (changed(**{"0_weight": np.zeros((8, 5))}), ValueError, "'0.weight' has shape (8, 5)"),
        (
            changed(**{"5_weight": np.zeros((5, 6))}),
            ValueError,
            "'5.weight' has shape (5, 6), Dense(6) needs (6, 6)",
        ),
        (changed(**{"8_bias": np.zeros(6)}), ValueError, "'8.bias' has shape (6,)"),
        (changed(**{"0_weight": np.zeros((8, 4, 1, 1))}), ValueError, "'0.weight' has shape (8, 4, 1, 1)"),
        (changed(**{"0_weight": state()["0.weight"] * np.nan}), ValueError, "'0.weight' must be finite"),
        (
            changed(**{"0_weight": state()["0.weight"].astype(float) * 1e300}),
            ValueError,
            "'0.weight' must be finite",
        ),
        (changed(**{"10_weight": np.zeros((2, 5), int)}), TypeError, "'10.weight' must be floating-point"),
        (changed(**{"10_weight": "weights"}), TypeError, "'10.weight' must be a tensor or an array, got str"),
        (changed(**{"1_running.mean": ZEROS}), ValueError, "'1.running.mean' is not a weight or bias"),
        ({**state(), 3: ZEROS}, ValueError, "3 is not a weight or bias"),
        (
            changed(**{"2_bias": np.zeros(6)}),
            ValueError,
            "'2.weight' has a bias, unlike Dense(6, 'tanh', use_bias=False)",
        ),
        (without("5.bias"), ValueError, "'5.weight' has no bias, unlike Dense(6)"),
        (without("5.weight"), ValueError, "'5.bias', but no weight"),
        (
            without("10.weight", "10.bias"),
            ValueError,
            "4 modules with weights (0, 2, 5, 8), the model has 5, of Dense layers",
        ),
        ({}, ValueError, "0 modules with weights"),
        (3, TypeError, "source must be a dict or the path"),
    ],
)
def test_what_does_not_fit_is_refused(given, error, piece):
    model = twin()
    if "(8, 5)" not in piece:  # a model that is not built takes inputs of any size
        refused(model, lambda: fn.load_torch(given, model), error, piece)
    model.build(4)
    refused(model, lambda: fn.load_torch(given, model), error, piece)


def test_files_that_are_refused(tmp_path):
    for call in (fn.load_torch, lambda path, model: fn.load(path)):
        with pytest.raises(FileNotFoundError):
            call(tmp_path / "nowhere", twin())
        (tmp_path / "text").write_text("no safetensors file, but a text of some length")
        with pytest.raises(ValueError, match="not a safetensors file"):
            call(tmp_path / "text", twin())
    save_file({"0.weight": np.zeros((8, 4), np.int32)}, tmp_path / "integers")
    with pytest.raises(TypeError, match="'0.weight' must be floating-point numbers, got I32"):
        fn.load_torch(tmp_path / "integers", twin())


def test_preprocessing_is_the_models_own():
    x = np.array([[1.0, 2.0], [3.0, 6.0]])
    model = fn.Model([fn.Standardize(), fn.Dense(2)], dtype="float64").adapt(x)
    fn.load_torch({"0.weight": np.eye(2), "0.bias": np.zeros(2)}, model)
    np.testing.assert_allclose(model.predict(x), [[-1, -1], [1, 1]])
    with pytest.raises(ValueError, match="Standardize.* has no counterpart"):
        model.to_torch_state()


def test_layer_normalization():
    layers = [fn.LayerNormalization(1e-5), fn.Dense(3, "relu"), fn.LayerNormalization(1e-5), fn.Dense(2)]
    model = fn.Model(layers, dtype="float64", seed=0).build(4)
    model.parameters[...] = np.random.default_rng(0).normal(size=model.parameters.size)
    state = model.to_torch_state(as_numpy=True)
    assert {key: values.shape for key, values in state.items()} == {
        "0.weight": (4,),
        "0.bias": (4,),
        "1.weight": (3, 4),
        "1.bias": (3,),
        "3.weight": (3,),
        "3.bias": (3,),
        "4.weight": (2, 3),
        "4.bias": (2,),
    }
    again = fn.load_torch(state, fn.Model([copy.copy(layer) for layer in layers], dtype="float64"))
    assert np.array_equal(again.parameters, model.parameters)
    for key, piece in (
        ("0.weight", "a LayerNorm layer has one number"),
        ("1.weight", "a Linear layer has two"),
    ):
        with pytest.raises(ValueError, match=piece):
            fn.load_torch({**state, key: np.zeros((1, 1, 1))}, again)
    with pytest.raises(ValueError, match="'3.weight' has no bias, unlike LayerNormalization"):
        fn.load_torch({key: values for key, values in state.items() if key != "3.bias"}, again)
    with pytest.raises(ValueError, match="the model has 1, of LayerNormalization layers"):
        fn.load_torch(state, fn.Model([fn.LayerNormalization()]))


def test_layer_normalization_of_positions():
    model = fn.Model([fn.LayerNormalization()]).build((5, 3))
    fn.load_torch({"0.weight": np.array([1.0, 2.0, 3.0]), "0.bias": np.ones(3)}, model)
    assert model.layers[0].gamma.tolist() == [1, 2, 3]


def test_layer_normalization_computes_what_torch_computes():
    torch = pytest.importorskip("torch", reason="PyTorch gives the weights")
    modules = [torch.nn.LayerNorm(4), torch.nn.Linear(4, 6), torch.nn.GELU(), torch.nn.LayerNorm(6)]
    twin = torch.nn.Sequential(*modules, torch.nn.Linear(6, 2)).double()
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.normal_()
    layers = [fn.LayerNormalization(1e-5), fn.Dense(6, "gelu"), fn.LayerNormalization(1e-5), fn.Dense(2)]
    model = fn.load_torch(twin.state_dict(), fn.Model(layers, dtype="float64"))
    x = np.random.default_rng(0).normal(size=(7, 4))
    np.testing.assert_allclose(model.predict(x), twin(torch.from_numpy(x)).detach().numpy(), rtol=1e-9)


def normalizations():
    layers = [fn.Dense(6, use_bias=False), fn.BatchNormalization(0.9, 1e-5), fn.Activation("relu")]
    layers += [fn.BatchNormalization(epsilon=1e-5, center=False, scale=False), fn.GroupNormalization(3, 1e-5)]
    return [*layers, fn.RMSNormalization(1e-5), fn.Dense(2)]


def test_batch_normalization_has_its_running_statistics(tmp_path):
    model = fn.Model(normalizations(), dtype="float64", seed=0).build(4)
    model.state.set_weights(np.random.default_rng(0).uniform(0.5, 2, model.state.weights().size))
    state = model.to_torch_state(as_numpy=True)
    assert {key: value.shape for key, value in state.items()} == {
        "0.weight": (6, 4),
        **{f"1.{name}": (6,) for name in ("weight", "bias", "running_mean", "running_var")},
        **{f"3.{name}": (6,) for name in ("running_mean", "running_var")},
        **{f"4.{name}": (6,) for name in ("weight", "bias")},
        "5.weight": (6,),
        **{"6.weight": (2, 6), "6.bias": (2,)},
    }
    save_file(state, tmp_path / "state")
    counted = {**state, "1.num_batches_tracked": np.array(3), "3.num_batches_tracked": np.array(3)}
    for given in (state, counted, tmp_path / "state"):
        again = fn.load_torch(given, fn.Model(normalizations(), dtype="float64", seed=1))
        assert np.array_equal(again.state.weights(), model.state.weights())
    with pytest.raises(ValueError, match="'1.weight' has no running_mean, unlike BatchNormalization"):
        fn.load_torch({key: state[key] for key in state if key != "1.running_mean"}, again)


def test_batch_normalization_computes_what_torch_computes():
    torch = pytest.importorskip("torch", reason="PyTorch gives the weights")
    modules = [torch.nn.Linear(4, 6, bias=False), torch.nn.BatchNorm1d(6), torch.nn.ReLU()]
    modules += [torch.nn.BatchNorm1d(6, affine=False), torch.nn.GroupNorm(3, 6), torch.nn.RMSNorm(6, 1e-5)]
    twin = torch.nn.Sequential(*modules, torch.nn.Linear(6, 2)).double()
    x = np.random.default_rng(0).normal(size=(7, 4))
    for _ in range(5):
        twin(torch.from_numpy(x))  # moves the averages
    twin.eval()
    model = fn.load_torch(twin.state_dict(), fn.Model(normalizations(), dtype="float64"))
    np.testing.assert_allclose(model.predict(x), twin(torch.from_numpy(x)).detach().numpy(), rtol=1e-9)
    twin.load_state_dict(model.to_torch_state())


def blocks():
    """Layers in layers: what PyTorch would call modules of the same nesting."""
    residual = fn.Residual([fn.Dense(3, "relu"), fn.LayerNormalization(1e-5)], shortcut=fn.Dense(3))
    side = fn.Concatenate([None, fn.Dense(2, "tanh"), [fn.Activation("tanh"), fn.Dense(1)]])
    return [fn.Dense(4, "relu"), fn.Sequential([fn.Dropout(0.1), fn.Dense(5)]), residual, side, fn.Dense(2)]


def test_containers(tmp_path):
    model = fn.Model(blocks(), dtype="float64", seed=0).build(6)
    state = model.to_torch_state(as_numpy=True)
    assert {key: value.shape for key, value in state.items() if not key.endswith("bias")} == {
        "0.weight": (4, 6),
        "2.1.weight": (5, 4),
        "3.body.0.weight": (3, 5),
        "3.body.2.weight": (3,),
        "3.shortcut.0.weight": (3, 5),
        "4.branches.1.0.weight": (2, 3),
        "4.branches.2.1.weight": (1, 3),
        "5.weight": (2, 6),
    }
    save_file(state, tmp_path / "sorted")
    other = {f"block.{key}" if key[0] in "34" else key: value for key, value in state.items()}
    for given in (state, tmp_path / "sorted", other):
        again = fn.load_torch(given, fn.Model(blocks(), dtype="float64", seed=1))
        assert np.array_equal(again.parameters, model.parameters)
    save_file(other, tmp_path / "sorted")
    with pytest.raises(ValueError, match="a file does not tell the order"):
        fn.load_torch(tmp_path / "sorted", fn.Model(blocks()))


def convolutional():
    layers = [fn.Conv2D(3, 2, activation="relu"), fn.DepthwiseConv2D(2, depth_multiplier=2)]
    layers += [fn.Conv2DTranspose(4, 2, 2, use_bias=False), fn.SeparableConv2D(2, 2, activation="tanh")]
    return [*layers, fn.Flatten(), fn.Dropout(0.1), fn.Dense(5, "relu"), fn.Dense(2)]


def test_convolutions_keep_their_channels_first():
    """Also the inputs of the first dense layer behind them, but of no other."""
    model = fn.Model(convolutional(), dtype="float64", seed=0).build((4, 5, 2))
    state = model.to_torch_state(as_numpy=True)
    assert {key: value.shape for key, value in state.items()} == {
        "0.weight": (3, 2, 2, 2),
        "0.bias": (3,),
        "2.weight": (6, 1, 2, 2),
        "2.bias": (6,),
        "3.weight": (6, 4, 2, 2),
        "4.weight": (4, 1, 2, 2),
        "5.weight": (2, 4, 1, 1),
        "5.bias": (2,),
        "9.weight": (5, 30),
        "9.bias": (5,),
        "11.weight": (2, 5),
        "11.bias": (2,),
    }
    kernel, first = model.layers[0].weights, model.layers[6].weights
    assert state["0.weight"][2, 1, 0, 1] == kernel[0, 1, 1, 2]
    assert np.array_equal(
        state["9.weight"].reshape(5, 2, 3, 5)[:, 1, 2, 3], first.reshape(3, 5, 2, 5)[2, 3, 1]
    )
    again = fn.load_torch(state, fn.Model(convolutional(), dtype="float64", seed=1).build((4, 5, 2)))
    assert np.array_equal(again.parameters, model.parameters)
    with pytest.raises(ValueError, match=r"do not tell the size of the input; build the model first"):
        fn.load_torch(state, fn.Model(convolutional()))
    with pytest.raises(ValueError, match="'0.weight' has shape .*, that of a Conv2d layer has four numbers"):
        fn.load_torch({**state, "0.weight": np.zeros((3, 2, 2))}, again)


def test_convolutions_compute_what_torch_computes():
    torch = pytest.importorskip("torch", reason="PyTorch gives the weights")
    nn = torch.nn
    modules = [nn.Conv2d(2, 3, 2), nn.ReLU(), nn.Conv2d(3, 6, 2, groups=3)]
    modules += [nn.ConvTranspose2d(6, 4, 2, 2, bias=False), nn.Conv2d(4, 4, 2, groups=4, bias=False)]
    modules += [nn.Conv2d(4, 2, 1), nn.Tanh(), nn.Flatten(), nn.Dropout(0.1), nn.Linear(30, 5), nn.ReLU()]
    twin = nn.Sequential(*modules, nn.Linear(5, 2)).double().eval()
    model = fn.Model(convolutional(), dtype="float64").build((4, 5, 2))
    fn.load_torch(twin.state_dict(), model)
    x = np.random.default_rng(0).normal(size=(7, 4, 5, 2))
    wanted = twin(torch.from_numpy(np.moveaxis(x, -1, 1).copy())).detach().numpy()
    np.testing.assert_allclose(model.predict(x), wanted, rtol=1e-9)


#: Layers on images before a dense one; PyTorch's modules, and the inputs of the dense layer.
BEHIND_IMAGES = {
    "batch normalization": (
        lambda: [fn.Conv2D(4, 3), fn.BatchNormalization(0.9, 1e-5), fn.Activation("relu"), fn.Flatten()],
        lambda nn: [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()],
        80,
    ),
    "group normalization": (
        lambda: [fn.Conv2D(4, 3), fn.GroupNormalization(2, 1e-5), fn.Flatten()],
        lambda nn: [nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.Flatten()],
        80,
    ),
    "pooling alone": (
        lambda: [fn.MaxPooling2D(2), fn.Flatten()],
        lambda nn: [nn.MaxPool2d(2), nn.Flatten()],
        18,
    ),
    "pooling of all": (
        lambda: [fn.Conv2D(4, 3), fn.GlobalAveragePooling2D(keepdims=True), fn.Flatten()],
        lambda nn: [nn.Conv2d(2, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()],
        4,
    ),
    "normalization of flat samples": (
        lambda: [
            fn.Conv2D(4, 3),
            fn.Flatten(),
            fn.BatchNormalization(0.9, 1e-5),
            fn.LayerNormalization(1e-5),
        ],
        lambda nn: [nn.Conv2d(2, 4, 3), nn.Flatten(), nn.BatchNorm1d(80), nn.LayerNorm(80)],
        80,
    ),
}


@pytest.mark.parametrize("name", BEHIND_IMAGES)
def test_what_is_behind_images_computes_what_torch_computes(name):
    torch = pytest.importorskip("torch", reason="PyTorch gives the weights")
    layers, modules, width = BEHIND_IMAGES[name]
    parts = [*modules(torch.nn), torch.nn.Linear(width, 3)]
    rng = torch.Generator().manual_seed(0)
    for tensor in (each for part in parts for each in [*part.parameters(), *part.buffers()]):
        if tensor.is_floating_point():
            tensor.data.uniform_(0.3, 1.7, generator=rng)
    twin = torch.nn.Sequential(*parts).double().eval()
    model = fn.Model([*layers(), fn.Dense(3)], dtype="float64").build((6, 7, 2))
    fn.load_torch(twin.state_dict(), model)
    x = np.random.default_rng(0).normal(size=(5, 6, 7, 2))
    wanted = twin(torch.from_numpy(np.moveaxis(x, -1, 1).copy())).detach().numpy()
    np.testing.assert_allclose(model.predict(x), wanted, rtol=1e-9)
    again = model.to_torch_state()
    assert all(torch.equal(again[key], value) for key, value in twin.state_dict().items() if key in again)


@pytest.mark.parametrize("name", BEHIND_IMAGES)
def test_a_dense_layer_behind_images_is_permuted(name):
    layers, _, width = BEHIND_IMAGES[name]
    model = fn.Model([*layers(), fn.Dense(3)], dtype="float64", seed=0).build((6, 7, 2))
    model.parameters[...] = np.arange(model.parameters.size)
    state = model.to_torch_state(as_numpy=True)
    flatten = next(i for i, layer in enumerate(model.layers) if isinstance(layer, fn.Flatten))
    image = model.outputs(np.ones((6, 7, 2)), [flatten - 1])[0].shape
    places = np.moveaxis(np.arange(width).reshape(image), -1, 0).ravel()
    last = len(model.layers) - 1
    assert np.array_equal(state[f"{last}.weight"], model.layers[last].weights[places].T)
    for i in range(flatten + 1, last):
        assert np.array_equal(state[f"{i}.weight"], model.layers[i].gamma[places])


def test_groups_of_flat_images_are_refused():
    model = fn.Model([fn.Conv2D(4, 3), fn.Flatten(), fn.GroupNormalization(2), fn.Dense(3)], seed=0).build(
        (6, 7, 2)
    )
    with pytest.raises(
        ValueError, match=r"layer 2, GroupNormalization\(groups=2\) behind fn.Flatten of images"
    ):
        model.to_torch_state()


def test_pooling_has_a_module_but_no_weights():
    layers = [fn.Conv2D(3, 3), fn.MaxPooling2D(2), fn.ZeroPadding2D(1), fn.Flatten(), fn.Dense(2)]
    model = fn.Model(layers, seed=0).build((6, 6, 1))
    state = model.to_torch_state(as_numpy=True)
    assert list(state) == ["0.weight", "0.bias", "4.weight", "4.bias"]
    second = model.layers[4].weights.reshape(4, 4, 3, 2)[:, :, 1]
    assert np.array_equal(state["4.weight"][:, 16:32], second.reshape(16, 2).T)


def test_layers_without_a_counterpart():
    model = fn.Model([fn.Dense(3), fn.Unscale()], loss="mse", seed=0)
    model.fit(np.eye(3), np.eye(3))
    with pytest.raises(ValueError, match=r"layer 1, Unscale.* has no counterpart among PyTorch's modules"):
        model.to_torch_state()


def test_vectors_of_categories_are_not_left_as_they_are():
    model = fn.Model([fn.EntityEmbedding(2, columns=0), fn.Dense(1)], loss="mse", seed=0)
    model.fit([[0, 1.0], [1, 2.0], [2, 0.5]], [0.0, 1.0, 2.0])
    before, given = model.parameters.copy(), {"1.weight": np.ones((1, 3)), "1.bias": np.ones(1)}
    with pytest.raises(ValueError, match=r"layer 0, EntityEmbedding.* has no counterpart among PyTorch's"):
        fn.load_torch(given, model)
    assert np.array_equal(model.parameters, before)


def test_models_that_are_refused(monkeypatch):
    with pytest.raises(TypeError, match="model must be"):
        fn.load_torch(state(), [fn.Dense(3)])
    with pytest.raises(ValueError, match="not built"):
        twin().to_torch_state()
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="as_numpy=True"):
        twin().build(4).to_torch_state()


# --- with PyTorch itself, where it is installed


def modules(torch):
    nn = torch.nn
    parts = [nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6, bias=False), nn.Tanh(), nn.Dropout(0.1)]
    parts += [nn.Linear(6, 6), nn.Identity(), nn.Identity(), nn.Linear(6, 5), nn.SiLU(), nn.Linear(5, 2)]
    return nn.Sequential(*parts).eval()


@pytest.mark.parametrize("kind", ["float64", "float32", "float16", "bfloat16"])
def test_live_state(kind):
    torch = pytest.importorskip("torch", reason="PyTorch is no part of the development tools")
    sequential = modules(torch).to(getattr(torch, kind))
    model = fn.load_torch(sequential.state_dict(), twin(dtype="float64"))
    again = modules(torch).double()
    again.load_state_dict(model.to_torch_state())
    x = torch.randn(5, 4, dtype=torch.float64)
    np.testing.assert_allclose(model.predict(x.numpy()), again(x).detach().numpy(), rtol=1e-10)
    for key, value in sequential.state_dict().items():
        assert torch.equal(again.state_dict()[key], value.double())


def test_live_tensors_that_are_refused():
    torch = pytest.importorskip("torch", reason="PyTorch is no part of the development tools")
    model = twin().build(4)
    for value in (torch.zeros(2, 5, device="meta"), torch.zeros(2, 5).to_sparse(), torch.zeros(2, 5).int()):
        given = {**modules(torch).state_dict(), "10.weight": value}
        refused(model, lambda g=given: fn.load_torch(g, model), TypeError, "'10.weight'")
