"""The Functions screen over a real runtime: what is tried there is done, seen and ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pylon.clock import SystemClock
from pylon.tui.dashboard import Dashboard
from pylon.tui.widgets.form_row import Row
from tests.integration.test_owner_calls import owned
from tests.screens.test_dashboard import until
from tests.screens.test_users_screen import _seen


async def test_functions_are_tried_and_their_calls_are_seen(tmp_path: Path) -> None:
    """A refusal at its field, a value, a stream that is cancelled; each in the counts at once."""
    async with owned(tmp_path) as (rt, admin):
        await rt.user("ada@example.com")
        book = rt.runtime.services.observer.calls
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(100, 40), notifications=True) as pilot:
            await pilot.press("5")
            await _seen(app, "big", "forever", "note", "1/5")
            await pilot.press("G", "t")
            await _seen(app, "text *", "calm")
            rows = {row.name_: row for row in app.screen.query(Row).results(Row)}
            rows["as"].field_widget.value = "ada@example.com"  # type: ignore[attr-defined]
            await pilot.press("f5")
            await _seen(app, "✗ text is required", "✗ INVALID_ARGUMENT")
            rows["text"].field_widget.value = "tea"  # type: ignore[attr-defined]
            await pilot.press("f5")
            await _seen(app, "✓ done in", '"ada@example.com: tea (0)"')
            await pilot.press("escape", "g", "down", "down", "t")
            await _seen(app, "forever(")
            await pilot.press("f5")
            await _seen(app, '· "for ada@example.com"', "1 part")
            await pilot.press("escape")
            await _seen(app, "- cancelled after")
            async with asyncio.timeout(60):
                while "cancelled" not in [one.outcome for one in book.of("forever")]:
                    await asyncio.sleep(0.02)
            await pilot.press("escape")
            await until(app, lambda text: "- cancelled" in text and "INVALID_ARGUMENT" in text)
            await pilot.press("enter")
            await _seen(app, "forever(): string[]", "- cancelled", "ada@example.com", "app.py:")
