"""Operations on lists of tensors, each in one call: `foreach.add(a, b)` adds in pairs.

They are torch's `_foreach` functions and its fused Adam, which its own optimizers use
and its documentation does not list. Only this module names them, so that an upgrade of
torch that changes them is handled here. A name that ends with `_` changes its first
argument.
"""

from __future__ import annotations

from torch import (
    _foreach_add,
    _foreach_add_,
    _foreach_addcmul_,
    _foreach_copy_,
    _foreach_div,
    _foreach_div_,
    _foreach_lerp,
    _foreach_lerp_,
    _foreach_mul_,
    _foreach_norm,
    _foreach_sqrt,
    _foreach_sub,
    _fused_adam_,
)

add, add_ = _foreach_add, _foreach_add_
addcmul_ = _foreach_addcmul_
copy_ = _foreach_copy_
div, div_ = _foreach_div, _foreach_div_
lerp, lerp_ = _foreach_lerp, _foreach_lerp_
mul_ = _foreach_mul_
norm = _foreach_norm
sqrt = _foreach_sqrt
sub = _foreach_sub
fused_adam_ = _fused_adam_
"the update of Adam in one call, on CPUs and GPUs"
