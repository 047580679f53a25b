"""How uncertain a trained model is: see ``docs/uncertainty.md``, also for samples and ensembles."""

from .._public import set_module as _set_module
from ._laplace import LastLayerLaplace

__all__ = ["LastLayerLaplace"]

_set_module(__name__, (LastLayerLaplace,))


def __dir__() -> list[str]:
    return __all__
