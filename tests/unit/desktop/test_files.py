"""Which paths can stand in an entry."""

from __future__ import annotations

import pytest

from pylon.desktop.files import DesktopPath, checked


@pytest.mark.parametrize("path", ["/a\nb", "/a\tb", "/\x7f", "/\udce9", "/a\0b"])
def test_what_no_line_can_hold_is_refused(path: str) -> None:
    """Control characters, and bytes that are no UTF-8: with what to do."""
    with pytest.raises(DesktopPath) as caught:
        checked(path)
    assert caught.value.hint


def test_everything_else_passes_as_it_is() -> None:
    """Spaces, quotes and other scripts are the quoting's business."""
    path = '/home/ada l. "ü" $x `y` 100% 日本/pylon'
    assert checked(path) == path
