"""ONNX: models as other programs read them.

`export` writes a model as a standard ONNX graph, which ONNX Runtime and many others run.

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
...     os.listdir(folder)
['model.onnx']
"""

try:
    import onnx  # noqa: F401
except ImportError as error:
    message = "fastnn.onnx needs the package onnx; install the extra 'onnx': fastnn-jit[onnx]"
    raise ImportError(message) from error

from ._export import export

__all__ = ["export"]
