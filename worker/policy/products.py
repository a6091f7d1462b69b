"""The product that nearly all time goes into: activations with a matrix of weights.

On CPUs float32 goes through oneDNN, by the operators that compiled models use, in place of the BLAS behind `@`. On an AMD EPYC
that is a tenth faster for a thousand rows, and half as fast again for the few dozen of sampling: MKL lays a matrix out anew in
every call.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def product(x: Tensor, weight: Tensor) -> Tensor:
    """Return x W^T, [n, out], for x [n, in] and W [out, in], which may be `packed`; without a gradient."""
    if _suits(x) and _suits(weight):
        result: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
        return result
    return x @ weight.T


def packed(weight: Tensor, rows: int) -> Tensor:
    """A copy of W [out, in], laid out for products with about so many rows; W itself where there is no such layout."""
    if not _suits(weight):
        return weight
    result: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight, rows)
    return result


def _suits(tensor: Tensor) -> bool:
    return _ONEDNN and tensor.device.type == "cpu" and tensor.dtype == torch.float32 and len(tensor) > 0
