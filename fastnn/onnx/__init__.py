"""ONNX: export of models, and import of sequential graphs from other programs.

`export` writes a model as a standard ONNX graph, which ONNX Runtime and many others run; `load` makes
a model from a graph of dense layers and activations, as exported from PyTorch, Keras or scikit-learn. See
``docs/files_and_formats.md``.

>>> import os, tempfile
>>> import numpy as np
>>> import fastnn as fn
>>> import fastnn.onnx
>>> model = fn.Model([fn.Standardize(), fn.Dense(8, "gelu"), fn.Dense(3)], loss="cross_entropy", seed=0)
>>> X = np.arange(12.0).reshape(6, 2)
>>> history = model.fit(X, [0, 1, 2, 0, 1, 2])
>>> with tempfile.TemporaryDirectory() as folder:
...     path = os.path.join(folder, "model.onnx")
...     fn.onnx.export(model, path)
...     again = fn.onnx.load(path)
>>> again.layers
(Standardize(), Dense(8, 'gelu'), Dense(3))
>>> np.array_equal(again.predict(X), model.predict(X))
True
"""

try:
    import onnx  # noqa: F401
except ImportError as error:
    message = "fastnn.onnx needs the package onnx; install the extra 'onnx': fastnn-jit[onnx]"
    raise ImportError(message) from error

from .._public import set_module as _set_module
from ._export import export
from ._import import load

__all__ = ["export", "load"]

_set_module(__name__, (export, load))


def __dir__() -> list[str]:
    return __all__
