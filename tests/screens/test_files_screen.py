"""The Files screen: totals, quotas, uploads and files, and what every key does to them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from textual.pilot import Pilot

from pylon.client.admin import AdminClient, AdminError
from pylon.clock import SystemClock
from pylon.testing.grid import grid
from pylon.testing.inprocess import URL
from pylon.tui.dashboard import Dashboard
from tests.integration.files_app import files_front
from tests.screens.fakes import AT, ScriptedAdmin, files, status, stored
from tests.screens.test_dashboard import opened, until
from tests.screens.test_users_screen import NASTY, _seen

SIZES = [(80, 24), (200, 50)]
FAR = "2999-01-01T00:00:00.000Z"
CAT = stored(1)
FRESH = stored(2, name="notes.txt", type="text/plain", state="fresh", owners=[], leaves_at=FAR,
               size=7, email="bob@example.com", uploader="u-bob")  # fmt: skip
GONE = stored(3, name="old.zip", state="released", owners=[], leaves_at=FAR, size=5_000_000)
SLOW = {"id": "up-1", "name": "slow.iso", "type": "x", "length": 8192, "offset": 2048,
        "is_under_way": False, "uploader": "u-ada", "email": None, "expires_at": FAR}  # fmt: skip


async def _open(
    app: Dashboard, admin: ScriptedAdmin, pilot: Pilot[int], *found: dict[str, Any], **more: Any
) -> None:
    """Open the screen with these files."""
    page = files(*(found or (CAT, FRESH, GONE)), uploads=(SLOW,), quota_mb=1, total_mb=10)
    admin.answers.setdefault("admin/files", page)
    admin.say(status(**more), {"type": "files", "totals": page["totals"]})
    await until(app, lambda text: "head 0" in text)
    await pilot.press("f")
    await until(app, lambda text: "SIZE" in text and "1/" in text)


@pytest.mark.parametrize("size", SIZES)
async def test_totals_quotas_uploads_and_files_are_shown(size: tuple[int, int]) -> None:
    """States with their sums, shares of quotas, who holds what; columns fit; ? has the keys."""
    async with opened(size) as (app, admin, pilot):
        await _open(app, admin, pilot)
        text = await _seen(
            app, "Files", "● owned 1, 2.0 KiB", "○ fresh 1, 7 B", "- released 1, 4.8 MiB",
            "quota 1.0 MiB a user", "ada@example.com 2.0 KiB (0%)", "uploads 1: slow.iso 2.0 KiB",
            "of 8.0 KiB (rests)", "cat.png", "Doc.file row-1", "goes in 3", "1/3",
        )  # fmt: skip
        lines = grid(app)
        assert len(lines) == size[1]
        assert all(len(line) <= size[0] for line in lines)
        assert ("file-1" in text) is (size[0] >= 200)
        assert ("of 10.0 MiB (48%)" in text) is (size[0] >= 200)
        await pilot.press("question_mark")
        text = await _seen(app, "On Files", "Delete it, out of")
        assert text.index("On Files") < text.index("Sweep: remove")
        await pilot.press("escape", "y")
        await _seen(app, "url: http://127.0.0.1:4321/api/files/file-1", "command: pylon files show")


async def test_the_runtime_searches_and_sorts() -> None:
    """What is typed is asked; s has the largest first, and again the newest."""
    async with opened() as (app, admin, pilot):
        admin.answers["admin/files"] = lambda given: (
            files(FRESH) if given["search"] == "user:bob"
            else files(GONE, CAT) if given["order"] == "largest" else files(CAT, GONE)
        )  # fmt: skip
        await _open(app, admin, pilot)
        await pilot.press("slash", *"user:bob", "enter")
        await until(app, lambda text: "1/1" in text and "notes.txt" in text)
        await pilot.press("escape")
        await until(app, lambda text: "1/2" in text and "largest first" in text)
        await pilot.press("s")
        await until(app, lambda text: "newest first" in text
                    and 0 < text.find("old.zip") < text.find("cat.png"))  # fmt: skip


async def test_files_are_deleted_swept_verified_and_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting names the file and how many fields; sweeping at once asks; faults are listed."""
    opened_pages: list[str] = []

    async def browse(url: str) -> bool:
        opened_pages.append(url)
        return True

    monkeypatch.setattr("pylon.tui.file_actions.open_page", browse)
    async with opened((120, 30)) as (app, admin, pilot):
        admin.answers |= {
            "admin/files/file-1/delete": {"leaves_at": AT},
            "admin/files/file-1": {**CAT, "variants": [{"width": 256, "bytes": 900}]},
            "admin/files/sweep": {"files": 1, "blobs": 2, "uploads": 3, "leftovers": 4},
            "admin/files-verify": {"ok": False, "faults": ["abab is missing"], "checked": 3,
                                   "orphans": 0},
        }  # fmt: skip
        await _open(app, admin, pilot)
        await pilot.press("enter")
        await _seen(app, "2.0 KiB (2,048 bytes)", "ab" * 32, "Doc/row-1.file", "256 900 B")
        await pilot.press("escape", "d")
        await _seen(app, "Delete cat.png (2.0 KiB)? The field that holds it is emptied")
        assert "admin/files/file-1/delete" not in [path for path, _ in admin.asked]
        await pilot.press("y")
        await _seen(app, "✓ delete cat.png", "$ pylon files delete file-1")
        await pilot.press("S", "enter")
        await _seen(app, "1 files, 2 contents, 3 uploads, 4 leftovers", "$ pylon files sweep")
        assert ("admin/files/sweep", {"now": False}) in admin.asked
        await pilot.press("S", "down", "enter")
        await _seen(app, "Sweep now?", "gone for good")
        await pilot.press("y")
        await _seen(app, "$ pylon files sweep --now")
        await pilot.press("V", "down", "enter")
        await _seen(app, "1 contents are not as they should be", "abab is missing", "pylon restore")
        assert ("admin/files-verify", {"hash": "1"}) in admin.asked
        await pilot.press("escape", "o")
        await _seen(app, "as whom you are signed in there")
        assert opened_pages == ["http://127.0.0.1:4321/api/files/file-1"]
        await pilot.press("G", "d")
        await _seen(app, "it is released: nobody reads it any more")


async def test_hostile_files_are_text_and_old_news_are_called_old() -> None:
    """Names, types and rows steer nothing (I99); without news it says so, and why."""
    owner = {"entity": NASTY, "row_id": NASTY, "field": NASTY}
    nasty = stored(1, name=NASTY, type=NASTY, email=NASTY, uploader=NASTY, owners=[owner])
    async with opened((160, 30)) as (app, admin, pilot):
        admin.answers |= {
            "admin/files": files(nasty, uploads=({**SLOW, "name": NASTY, "email": NASTY},)),
            "admin/files/file-1": nasty, "admin/files/file-1/delete": AdminError(NASTY),
        }  # fmt: skip
        await _open(app, admin, pilot)
        for keys in (["d"], ["y"], ["enter"], ["escape", "y"]):
            await pilot.press(*keys)
            text = await _seen(app, "[red]x[/red]")
            for bad in ("\x1b", "\x07", "\u202e", "\x9b"):
                assert bad not in text, keys
        await pilot.press("escape")
        admin.answers["admin/files"] = AdminError("the runtime does not answer: refused")
        await _seen(app, "STALE: files were read", "does not answer: refused")


async def test_real_files_are_seen_and_deleted(tmp_path: Path) -> None:
    """An upload comes into sight by itself; deleted, nobody reads it; swept, it is gone."""
    async with files_front(tmp_path / "app") as front:
        services = front.rt.runtime.services
        admin = AdminClient(URL, token=services.admin_tokens[0])
        admin._session = aiohttp.ClientSession(connector=front.rt.network.connector("owner"))
        ann = await front.person("ann@example.com")
        app = Dashboard(SystemClock(), admin)
        async with app.run_test(size=(120, 30), notifications=True) as pilot:
            await until(app, lambda text: "files" in text)
            await pilot.press("f")
            await _seen(app, "No file is found")
            pixels = io.BytesIO()
            Image.new("RGB", (300, 200), "red").save(pixels, "PNG")
            data = pixels.getvalue().ljust(5_000, b"\0")
            large = await ann.upload(data, "large.png", "image/png")
            await ann.insert("Doc", file=large["id"])
            await _seen(app, "large.png", "● owned 1, 4.9 KiB", "Doc.file", "1/1")
            assert (await ann.ask("GET", f"{large['url']}?w=64")).status == 200
            await pilot.press("enter")
            await _seen(app, large["sha256"], "ann@example.com", "(?w=) 64 ")
            await pilot.press("escape", "d", "y")
            await _seen(app, "✓ delete large.png", "- released 1, 4.9 KiB")
            assert (await ann.ask("GET", large["url"])).status == 404
            await pilot.press("S", "down", "enter", "y")
            await _seen(app, "✓ sweep", "1 files, 1 contents", "No file is found")
        await admin.close()
