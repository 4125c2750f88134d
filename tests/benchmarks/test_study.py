"""VMAF's log is read frame by frame, in the order of the frames."""

from __future__ import annotations

from tests.benchmarks.study import scores_of


def test_scores_are_in_the_order_of_frames() -> None:
    """Threads finish frames in any order, and a pooled value may be no number."""
    log = """{"frames": [
      {"frameNum": 1, "metrics": {"vmaf": 91.5}},
      {"frameNum": 0, "metrics": {"vmaf": 97.25}}
    ], "pooled_metrics": {"vmaf": {"mean": nan, "harmonic_mean": -inf}}}"""
    assert [97.25, 91.5] == scores_of(log)
