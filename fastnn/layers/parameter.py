"""Parameters as attributes of layers: `Parameter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, overload

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .base import Layer


class Parameter:
    """An attribute of a layer that is its parameter of that name.

    It is a view into the parameters of the model, and can be assigned to.

    Parameters
    ----------
    doc : str
        What it is, and its shape.
    only_with : str, optional
        The setting without which the layer has no such parameter.
    """

    def __init__(self, doc: str, only_with: str = "") -> None:
        self.__doc__, self._only_with, self._name = doc, only_with, ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, layer: None, owner: type) -> Self: ...

    @overload
    def __get__(self, layer: Layer, owner: type) -> NDArray[Any]: ...

    def __get__(self, layer: Layer | None, owner: type) -> Self | NDArray[Any]:
        if layer is None:
            return self
        self._require(layer)
        return layer.parameter(self._name)

    def __set__(self, layer: Layer, value: ArrayLike) -> None:
        self._require(layer)
        layer.set_parameter(self._name, value)

    def _require(self, layer: Layer) -> None:
        if self._only_with and not getattr(layer, self._only_with):
            raise ValueError(
                f"the {layer.kind} layer has no {self._name}: it was made with {self._only_with}=False"
            )
