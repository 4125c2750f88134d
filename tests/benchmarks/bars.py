"""The bars: what is measured against what is wished, and the table that says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """A measured value; ``most`` and ``least`` are its bar, if it has one."""

    subject: str
    what: str
    value: float
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def verdict(self) -> Literal["pass", "FAIL", ""]:
        """How the value stands to its bar; empty without one."""
        if self.most is None and self.least is None:
            return ""
        low = self.least is None or self.value >= self.least
        high = self.most is None or self.value <= self.most
        return "pass" if low and high else "FAIL"

    @property
    def bar(self) -> str:
        """The bar in words."""
        if self.most is not None:
            return f"≤ {self.most:g}"
        return f"≥ {self.least:g}" if self.least is not None else ""


def table(findings: Sequence[Finding]) -> str:
    """A Markdown table, a row a finding; what is not judged has an empty bar."""
    rows = [
        ("subject", "what", "measured", "bar", "verdict"),
        ("---", "---", "---:", "---:", "---"),
        *(
            (one.subject, one.what, _number(one.value, one.unit), one.bar, one.verdict)
            for one in findings
        ),
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(f"| {line} |" for line in lines)


def _number(value: float, unit: str) -> str:
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:.{digits}f} {unit}".strip()


__all__ = ["Finding", "table"]
