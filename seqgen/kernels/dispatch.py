"""Compiled functions chosen by the class of their first argument.

Numba passes a compiled function as an argument only at the price of its cache on disk, which it keeps for
named tuples. So what a loop is to do comes in as one, and its function is found while the loop is compiled.
"""

from collections.abc import Callable, Mapping
from typing import Any

from numba.extending import overload


def choose_by_class(stub: Callable[..., Any], implementations: Mapping[type, Callable[..., Any]]) -> None:
    """Let compiled code call `stub(value, ...)`: it runs the implementation for the named tuple's class."""

    @overload(stub, strict=False)
    def choose(value: Any, *others: Any) -> Any:
        implementation = implementations[value.instance_class]
        return lambda value, *others: implementation(value, *others)
