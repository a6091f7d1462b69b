"""Fewer points for a chart, chosen so that it looks the same: the lowest and highest of every bucket stay.

Min/max thinning, as charting libraries do it: within a bucket narrower than a pixel nothing but the extremes can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class CurvePoint:
    """The rewards of a step, as far as it has them."""

    step: int
    train: float | None
    valid: float | None


def thinned(points: Sequence[CurvePoint], most: int) -> list[int]:
    """Steps to keep, in order, at most `most` (four or more) of them: the first, the last, and of each bucket the extremes.

    A quarter of the places is for validations, whose steps are few and looked for. Where there are more of them they are thinned
    in the same way, by their own reward.
    """
    if len(points) <= most:
        return [point.step for point in points]
    ends = {points[0].step, points[-1].step}
    validated = [(point.step, point.valid) for point in points if point.valid is not None]
    chosen = ends | _extremes(validated, (most - len(ends)) // 4)
    chosen |= _extremes([(point.step, point.train) for point in points if point.train is not None], most - len(chosen))
    return sorted(chosen)


def _extremes(values: Sequence[tuple[int, float]], most: int) -> set[int]:
    if len(values) <= most:
        return {step for step, _ in values}
    buckets = most // 2
    if buckets == 0:
        return set()
    width = math.ceil(len(values) / buckets)
    kept = set()
    for start in range(0, len(values), width):
        bucket = values[start : start + width]
        kept |= {min(bucket, key=lambda pair: pair[1])[0], max(bucket, key=lambda pair: pair[1])[0]}
    return kept
