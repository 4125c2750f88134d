"""What several modules of tests from end to end share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.browsing import a_browser


@pytest.fixture(scope="module", name="browser")
def the_browser() -> Iterator[Browser]:
    """A headless Chromium."""
    with a_browser() as browser:
        yield browser
