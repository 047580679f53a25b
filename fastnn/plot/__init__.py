"""Pictures of training and of networks, by matplotlib (the extra "plot").

Each function draws into `ax` if it is given, else into a new figure, and returns the Axes, so that
titles, sizes and files are matplotlib's business: ``fn.plot.network(model).figure.savefig("net.png")``.
"""

from .._public import set_module as _set_module
from ._attribution import attribution
from ._decision_boundary import decision_boundary
from ._history import history
from ._images import images
from ._importance import importance
from ._network import network
from ._style import style
from ._weights import weights

__all__ = [
    "attribution",
    "decision_boundary",
    "history",
    "images",
    "importance",
    "network",
    "style",
    "weights",
]

_set_module(__name__, (attribution, decision_boundary, history, images, importance, network, style, weights))


def __dir__() -> list[str]:
    return __all__
