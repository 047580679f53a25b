"""What a network sees: which inputs its outputs depend on, and which inputs excite it.

All of these work for any model, since they need only predictions and their derivatives with respect to the
input. `fastnn.plot` draws the results: `fastnn.plot.attribution`, `fastnn.plot.images`,
`fastnn.plot.importance`.
"""

from .._public import set_module as _set_module
from ._adversarial import adversarial
from ._gradients import integrated_gradients, saliency
from ._images import activation_maximization, dream
from ._importance import Importance, permutation_importance
from ._occlusion import occlusion

__all__ = [
    "Importance",
    "activation_maximization",
    "adversarial",
    "dream",
    "integrated_gradients",
    "occlusion",
    "permutation_importance",
    "saliency",
]

_set_module(
    __name__,
    (
        Importance,
        activation_maximization,
        adversarial,
        dream,
        integrated_gradients,
        occlusion,
        permutation_importance,
        saliency,
    ),
)


def __dir__() -> list[str]:
    return __all__
