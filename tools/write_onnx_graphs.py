"""Write the graphs of tests/fixtures/onnx/: small networks, by the ONNX exporters of other libraries.

    python tools/write_onnx_graphs.py torch         needs torch, onnx, onnxscript
    python tools/write_onnx_graphs.py keras_torch   needs keras, torch, onnx
    python tools/write_onnx_graphs.py keras_tensorflow   needs tensorflow, tf2onnx
    python tools/write_onnx_graphs.py sklearn       needs scikit-learn, skl2onnx

The tests only read the files, so that none of these libraries is needed for them.
"""

import os
import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "onnx"


def write_torch() -> None:
    """All activations after each other, images that are flattened, and a module with a forward of its own."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    activations = [nn.ReLU(), nn.Sigmoid(), nn.Tanh(), nn.LeakyReLU(0.2), nn.PReLU(), nn.ELU(0.5), nn.SELU()]
    activations += [nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Softplus(), nn.Hardtanh(), nn.Identity()]
    activations += [nn.Softmax(-1), nn.LogSoftmax(-1), nn.Dropout(0.2)]
    row = [part for activation in activations for part in (nn.Linear(4, 4), activation)]
    flat = nn.Sequential(nn.Linear(3, 4), *row, nn.Linear(4, 2, bias=False)).eval()
    images = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3)).eval()

    class View(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(12, 5), nn.Linear(5, 2)

        def forward(self, x):
            x = torch.relu(self.a(x.view(x.size(0), -1)))
            return torch.softmax(self.b(nn.functional.dropout(x, 0.5, self.training)), dim=1)

    cases = {"activations": (flat, (3,)), "images": (images, (1, 3, 4)), "view": (View().eval(), (1, 3, 4))}
    for name, (module, shape) in cases.items():
        x = torch.randn(2, *shape)
        axes = {"x": {0: "batch"}, "y": {0: "batch"}}
        ends = {"input_names": ["x"], "output_names": ["y"]}
        for opset in (13, 17, 20):
            path = FOLDER / f"torch_{name}_script_{opset}.onnx"
            torch.onnx.export(
                module, (x,), path, dynamo=False, opset_version=opset, dynamic_axes=axes, **ends
            )
        batch = ({0: torch.export.Dim("batch")},)
        for kind, shapes in (("dynamic", batch), ("fixed", None)):
            path = FOLDER / f"torch_{name}_{kind}.onnx"
            options = {"dynamic_shapes": shapes, "external_data": False, "verbose": False}
            torch.onnx.export(module, (x,), path, dynamo=True, **options, **ends)


def write_keras(backend: str) -> None:
    """A network with all activations that the exporter can write."""
    os.environ["KERAS_BACKEND"] = backend
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    names = ["relu", "tanh", "sigmoid", "elu", "selu", "silu", "softplus", "leaky_relu", "hard_tanh"]
    names += ["softmax", "log_softmax"] + (["gelu"] if backend == "torch" else [])  # tf2onnx writes no erfc
    row = [layers.Dense(4, name, bias_initializer="random_normal") for name in names]
    row += [layers.Activation(lambda x: keras.activations.gelu(x, approximate=True))]
    row += [layers.LeakyReLU(0.1), layers.ELU(0.5), layers.ReLU(), layers.Dropout(0.3)]
    model = keras.Sequential(
        [keras.Input((2, 3)), layers.Flatten(), *row, layers.Dense(3, use_bias=False), layers.Softmax()]
    )
    model(np.zeros((1, 2, 3), np.float32))
    model.export(FOLDER / f"keras_{backend}.onnx", format="onnx", verbose=False)


def write_sklearn() -> None:
    """Classifiers and regressors, also behind scalers."""
    from skl2onnx import to_onnx
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)).astype(np.float32)
    y = rng.integers(0, 3, 50)
    small = {"hidden_layer_sizes": (5,), "max_iter": 20, "random_state": 0}
    plain = {"options": {"zipmap": False}}
    classifier, regressor = MLPClassifier(**small), MLPRegressor(**small)
    cases = {
        "classes": (MLPClassifier(**small, activation="tanh"), y, X, {}),
        "classes_plain": (classifier, y, X, plain),
        "names": (classifier, np.array(["a", "b", "c"])[y], X, {}),
        "two_classes": (MLPClassifier(**small, activation="logistic"), y > 0, X, {}),
        "two_classes_plain": (classifier, y > 0, X, plain),
        "labels": (classifier, np.column_stack([y > 0, y > 1]).astype(int), X, {}),
        "values": (MLPRegressor(**small, activation="identity"), X[:, 0], X, {}),
        "values_double": (regressor, X[:, 0], X.astype(np.float64), {}),
        "two_values": (regressor, X[:, :2], X, {}),
        "standard": (make_pipeline(StandardScaler(), regressor), X[:, 0], X, {}),
        "min_max": (make_pipeline(MinMaxScaler(), classifier), y, X, plain),
        "max_abs": (make_pipeline(MaxAbsScaler(), regressor), X[:, 0], X, {}),
        "robust": (make_pipeline(RobustScaler(), regressor), X[:, 0], X, {}),
    }
    for name, (estimator, target, data, options) in cases.items():
        estimator.fit(data, target)
        content = to_onnx(estimator, data[:1], **options).SerializeToString()
        (FOLDER / f"sklearn_{name}.onnx").write_bytes(content)


WRITERS = {
    "torch": write_torch,
    "keras_torch": lambda: write_keras("torch"),
    "keras_tensorflow": lambda: write_keras("tensorflow"),
    "sklearn": write_sklearn,
}


def strip(path: Path) -> None:
    """Take out what PyTorch tells of the program that made the graph: it is long, and names its files."""
    import onnx

    model = onnx.load(path)
    for part in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    model.graph.ClearField("value_info")
    onnx.save(model, path)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or WRITERS:
        WRITERS[name]()
    for path in FOLDER.glob("*.onnx"):
        strip(path)
