"""Digits that agree, and standard errors from a Jacobian."""

from __future__ import annotations

import numpy as np

# What a float64 can hold.
MOST = 15.0


def digits(found: np.ndarray, certified: np.ndarray) -> np.ndarray:
    """Log relative error, NIST's measure; of a certified 0 the absolute one."""
    scale = np.where(certified == 0, 1.0, np.abs(certified))
    with np.errstate(divide="ignore", invalid="ignore"):
        agree = -np.log10(np.abs(found - certified) / scale)
    return np.clip(np.nan_to_num(agree, nan=0.0, posinf=MOST), 0.0, MOST)


def standard_errors(jacobian: np.ndarray, squares: float | np.float64) -> np.ndarray:
    """Of the parameters: the diagonal of s^2 (J'J)^-1, its root, by QR of J."""
    rows, size = jacobian.shape
    inverse = np.linalg.inv(np.linalg.qr(jacobian)[1])
    return np.sqrt(np.sum(inverse**2, axis=1) * squares / (rows - size))
