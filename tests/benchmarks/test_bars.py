"""A measured value stands to its bar as it should, and the table says so."""

from __future__ import annotations

import pytest

from tests.benchmarks.bars import Finding, table


@pytest.mark.parametrize(
    ("expected", "value", "most", "least"),
    [
        ("pass", 1.25, 1.25, None),
        ("FAIL", 1.2501, 1.25, None),
        ("pass", 93.0, None, 93.0),
        ("FAIL", 92.99, None, 93.0),
        ("FAIL", float("nan"), 1.0, None),
        ("", 7.0, None, None),
    ],
)
def test_a_bar_is_kept_or_missed(
    expected: str, value: float, most: float | None, least: float | None
) -> None:
    """What lies on the bar passes, what is not a number fails, what has no bar is not judged."""
    assert expected == Finding("job", "what", value, most=most, least=least).verdict


def test_the_table_has_a_row_a_finding() -> None:
    """Values have their unit, and as many digits as they deserve."""
    findings = [
        Finding("hero", "CPU", 5.1234, "s"),
        Finding("hero", "bit rate", 12_345.6, "kbit/s", most=12_000),
    ]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in table(findings).splitlines()
    ]
    assert [
        ["hero", "CPU", "5.12 s", "", ""],
        ["hero", "bit rate", "12346 kbit/s", "≤ 12000", "FAIL"],
    ] == rows[2:]
