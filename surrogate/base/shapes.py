"""Array types with shapes, for annotations: jaxtyping's.

Annotations are text that only a type checker reads. Importing jaxtyping takes 33 ms, a
twelfth of an answer, so that a process which has not imported it gets stand-ins here,
each of which is its array alone. With `--jaxtyping-packages` it is there before this
module is.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Array, Bool, Float, Float64, Int, Int64
else:

    class _Unread:
        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Array = Bool = Float = Float64 = Int = Int64 = _Unread

__all__ = ["Array", "Bool", "Float", "Float64", "Int", "Int64"]
