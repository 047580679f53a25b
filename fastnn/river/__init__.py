"""river's estimators, trained by fastnn: networks that learn from streams, one sample at a time.

`MLPClassifier` and `MLPRegressor` stand wherever river's estimators do: in pipelines, metrics, and
progressive validation. Features and classes may appear later, and features may be absent. See
``docs/streams.md``.

>>> from river import datasets, evaluate, metrics, preprocessing
>>> from fastnn.river import MLPClassifier
>>> model = preprocessing.StandardScaler() | MLPClassifier((20,), learning_rate_init=0.01, seed=0)
>>> accuracy = evaluate.progressive_val_score(datasets.Phishing(), model, metrics.Accuracy()).get()
>>> accuracy > 0.88
True
"""

try:
    import river  # noqa: F401
except ImportError as error:
    message = "fastnn.river needs the package river; install the extra 'river': fastnn-jit[river]"
    raise ImportError(message) from error

from .._public import set_module as _set_module
from ._classifier import MLPClassifier
from ._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

_set_module(__name__, (MLPClassifier, MLPRegressor))


def __dir__() -> list[str]:
    return __all__
