"""Correlation of an image with a kernel that is the same upside down and mirrored, compiled."""

from __future__ import annotations

import numba
import numpy as np

__all__ = ["fold"]


@numba.njit(nogil=True, cache=True, fastmath={"contract"})
def fold(padded, quarter, out):
    """
    Correlate an image with a symmetric kernel, each weight applied once to the four pixels that share it.

    Parameters
    ----------
    padded : ndarray of shape (d1 + 2 * h1, d2 + 2 * h2), float32
        The image with its border.
    quarter : ndarray of shape (h1 + 1, h2 + 1), float32
        The kernel from its middle on.
    out : ndarray of shape (d1, d2), float32
        Where to write.
    """
    rows, columns = out.shape
    h1, h2 = quarter.shape[0] - 1, quarter.shape[1] - 1
    pair = np.empty(columns + 2 * h2, np.float32)
    for r in range(rows):
        total = out[r]
        total[:] = 0
        for dy in range(h1 + 1):
            above, below = padded[r + h1 - dy], padded[r + h1 + dy]
            weight = np.float32(1) if dy else np.float32(0)
            for c in range(columns + 2 * h2):
                pair[c] = above[c] + weight * below[c]
            for c in range(columns):
                total[c] += quarter[dy, 0] * pair[h2 + c]
            # Two columns of the kernel at once: the sums then travel to memory half as often.
            for dx in range(1, h2 + 1, 2):
                further = min(dx + 1, h2)
                first, second = quarter[dy, dx], quarter[dy, further]
                if dx == h2:
                    second = np.float32(0)
                if first == 0 and second == 0:
                    continue
                left1, right1 = pair[h2 - dx : h2 - dx + columns], pair[h2 + dx : h2 + dx + columns]
                left2 = pair[h2 - further : h2 - further + columns]
                right2 = pair[h2 + further : h2 + further + columns]
                for c in range(columns):
                    total[c] += first * (left1[c] + right1[c]) + second * (left2[c] + right2[c])
