"""scikit-learn's estimators, trained by fastnn.

`MLPClassifier` and `MLPRegressor` have all parameters, attributes and methods of the classes of the
same names in `sklearn.neural_network`, with the same meaning and defaults, so that changing the import
is all that is needed. See ``docs/scikit_learn.md``.

>>> from fastnn.sklearn import MLPClassifier
>>> from sklearn.datasets import load_iris
>>> X, y = load_iris(return_X_y=True)
>>> MLPClassifier(random_state=0, max_iter=1000).fit(X, y).score(X, y)
0.98
"""

try:
    import sklearn  # noqa: F401
except ImportError as error:
    message = "fastnn.sklearn needs scikit-learn; install the extra 'sklearn': fastnn-jit[sklearn]"
    raise ImportError(message) from error

from .._public import set_module as _set_module
from ._classifier import MLPClassifier
from ._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]

_set_module(__name__, (MLPClassifier, MLPRegressor))


def __dir__() -> list[str]:
    return __all__
