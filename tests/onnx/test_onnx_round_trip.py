"""What fastnn writes it reads: every row of the table of layers comes back from its graph."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import fastnn as fn
from tests.helpers.check_layer import LayerCase, check_import
from tests.helpers.layer_rows import LAYERS

#: What does not come back, and why.
EXCEPTIONS = {
    "masked lstm": "ONNX has lengths of sequences, but no values that mark what is left out",
    "masked bidirectional gru": "the same",
    "derivatives": "ONNX has no operator that computes derivatives of others",
}


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in EXCEPTIONS])
def test_every_row_comes_back(name):
    layer, shape, reference, *options = LAYERS[name]
    case = LayerCase(layer, shape, reference, **dict(*options))
    assert case.onnx
    check_import(case)


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_what_is_not_written_is_named(name, tmp_path):
    layer, shape, reference, *options = LAYERS[name]
    with pytest.raises(ValueError, match="(Masking|Derivatives).* no counterpart in ONNX"):
        fn.onnx.export(LayerCase(layer, shape, reference, **dict(*options)).alone("float32"), tmp_path / "m")


# --- as the same layer


def round_trip(model, path, **options):
    fn.onnx.export(model, path)
    return fn.onnx.load(path, **options)


SAME = {
    "average_pooling_2d": ([fn.AveragePooling2D((2, 3))], (6, 9, 2)),
    "average_pooling_2d that overlaps": ([fn.AveragePooling2D(3, (2, 1), "same")], (6, 8, 2)),
    "average_pooling_2d of one axis": ([fn.AveragePooling2D((1, 3))], (5, 9, 2)),
    "average_pooling_2d in a row": ([fn.AveragePooling2D(2), fn.AveragePooling2D((2, 1))], (8, 6, 3)),
    "average_pooling_1d": ([fn.AveragePooling1D(4, 2, "same")], (9, 2)),
    "up_sampling_2d": ([fn.UpSampling2D((3, 2), interpolation="bilinear")], (4, 3, 2)),
    "up_sampling_2d of one axis": ([fn.UpSampling2D((2, 1), interpolation="bilinear")], (4, 3, 2)),
}


@pytest.mark.parametrize("name", SAME)
def test_layers_of_images_are_the_same_in_float64(name, tmp_path):
    layers, shape = SAME[name]
    model = fn.Model(layers, dtype="float64").build(shape)
    again = round_trip(model, tmp_path / "m.onnx")
    assert list(map(repr, again.layers)) == list(map(repr, layers))
    assert again.input_shape == shape


def test_another_product_along_an_axis_of_images_is_none(tmp_path):
    model = fn.Model([fn.AveragePooling1D(2)], dtype="float64").build((4, 2))
    fn.onnx.export(model, tmp_path / "m.onnx")
    proto = onnx.load(tmp_path / "m.onnx")
    (matrix,) = proto.graph.initializer
    values = numpy_helper.to_array(matrix) * [1, 1.5]
    matrix.CopyFrom(numpy_helper.from_array(values, matrix.name))
    again = fn.onnx.load(proto)
    assert not any(isinstance(layer, fn.AveragePooling1D) for layer in again.layers)
    x = np.random.default_rng(0).normal(size=(3, 4, 2))
    given = again.predict(x.reshape(3, *again.input_shape)).reshape(3, 2, 2)
    np.testing.assert_allclose(given, model.predict(x) * [[1], [1.5]], rtol=1e-12)


CODES = np.array([[7, 0.5, -1], [2, 0.1, 3], [7, 0.7, 3], [4, 0.2, -1]])


def test_entity_embedding_is_the_same(tmp_path):
    layers = [fn.EntityEmbedding([3, 2], columns=[2, 0]), fn.Dense(1)]
    model = fn.Model(layers, "mse", seed=0).adapt(CODES).build(3)
    again = round_trip(model, tmp_path / "m.onnx", loss="mse")
    assert np.array_equal(again.parameters, model.parameters)
    assert repr(again.layers[0]) == (
        "EntityEmbedding([2, 3], columns=[0, 2], categories=[[2, 4, 7], [-1, 3]], handle_unknown='ignore')"
    )
    before = again.predict(CODES)
    again.fit(CODES, np.ones(4), epochs=3)
    assert (again.predict(CODES) != before).all()


def broken(model, path, change):
    """A graph of a model, one of whose constants is another array."""
    fn.onnx.export(model, path)
    proto = onnx.load(path)
    for constant in proto.graph.initializer:
        values = change(constant.name, numpy_helper.to_array(constant))
        constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), constant.name))
    return proto


def unknown_is_something(name, values):
    return values + 1 if "weights_0" in name else values


def one_category_less(name, values):
    return values[:-1] if "categories_0" in name else values


def half_a_category(name, values):
    return values + 0.25 * (values == 7) if "categories_0" in name else values


def filled_too_short(name, values):
    return values[:2] if "fill" in name else values


def indicators_out_of_order(name, values):
    return values[::-1] if "indicated" in name else values


WITH_MISSING = np.where((CODES == 0.5) | (CODES == 3), np.nan, CODES)
REFUSED = {
    "unknown categories": (CODES, unknown_is_something, "unknown categories is not zeros"),
    "number of categories": (CODES, one_category_less, "unknown categories is not zeros"),
    "no integers": (CODES, half_a_category, "categories must be integers"),
    "fill values": (WITH_MISSING, filled_too_short, "one number for each column"),
    "indicators": (WITH_MISSING, indicators_out_of_order, "or not in their order"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_such_layer_is_refused(name, tmp_path):
    x, change, message = REFUSED[name]
    layer = fn.EntityEmbedding(2, columns=[0]) if x is CODES else fn.Impute(add_indicator=True)
    model = fn.Model([layer], seed=0).adapt(x).build(3)
    with pytest.raises(ValueError, match=message):
        fn.onnx.load(broken(model, tmp_path / "m.onnx", change))
