"""What can be done to files: delete, sweep, verify, open, all about one."""

from __future__ import annotations

from typing import Any, Final

from pylon.client.admin import AdminError
from pylon.printable import clean
from pylon.tui.acting import Acting, Done
from pylon.tui.browser import open_page
from pylon.tui.dialogs import Details, Menu
from pylon.tui.files_tables import file_words
from pylon.tui.saying import say
from pylon.tui.tables import size_text
from pylon.tui.verbs import Verb

#: What can be done to files.
FILE_VERBS: Final = (
    Verb("s", "files('turn')", "Largest first, or newest first", id="files.order"),
    Verb("d", "file('delete')", "Delete it, out of the fields that hold it", id="files.delete",
         cli="files delete"),
    Verb("o", "file('open')", "Open it in a browser", id="files.open"),
    Verb("S", "files('sweep')", "Sweep: remove what is to go", id="files.sweep",
         cli="files sweep"),
    Verb("V", "files('verify')", "Verify: are all bytes there, and the same?", id="files.verify",
         cli="files verify"),
)  # fmt: skip
File = dict[str, Any]
_SWEEPS: Final = (
    ("due", "what is due: fresh for too long, released, broken uploads, orphans"),
    ("now", "now: also what was released a moment ago"),
)
_CHECKS: Final = (
    ("sizes", "sizes: is everything there, and as long as it should be?"),
    ("hash", "hashes: read every byte; takes its time"),
)


class FileActions(Acting):
    """The owner's hand on the files of one dashboard's app."""

    part = "files"

    async def show(self, one: File) -> None:
        """Show all about a file."""
        try:
            found = await self._admin.get(f"admin/files/{self._admin.quoted(str(one['id']))}")
        except AdminError as error:
            say(self._app, error.message, is_bad=True)
            return
        now_ms = self._app.state.app_ms(self._app.clock.now_ms())
        title = f"file {found['name']}"
        self._app.push_screen(
            Details(title, file_words(found, now_ms), copied=str(found["id"]))
        )  # fmt: skip

    def delete(self, one: File, done: Done) -> None:
        """Have a file go, out of the fields that hold it, after a question that names it."""
        if one["state"] == "released":
            say(self._app, "it is released: nobody reads it any more; S sweeps")
            return

        async def step() -> str:
            path = f"admin/files/{self._admin.quoted(str(one['id']))}/delete"
            made = await self._admin.post(path, {})
            return f"its bytes go at {made['leaves_at']}\n$ pylon files delete {one['id']}"

        held = len(one["owners"])
        fields = {0: "no field holds it", 1: "the field that holds it is emptied"}.get(
            held, f"the {held} fields that hold it are emptied"
        )
        name = clean(one["name"])[:60]
        self.ask(
            f"Delete {name} ({size_text(one['size'])})? {fields[0].upper()}{fields[1:]}, and nobody"
            " reads it from then on.",
            lambda: self.run(f"delete {name}", step, done),
        )

    def sweep(self, done: Done) -> None:
        """Remove what is to go, after a choice; without waiting, after a question."""

        def chosen(key: str | None) -> None:
            if key == "due":
                self._sweep(done, is_now=False)
            elif key == "now":
                self.ask("Sweep now? Files that were deleted a moment ago are gone for good.",
                         lambda: self._sweep(done, is_now=True))  # fmt: skip

        self._app.push_screen(Menu("Sweep", _SWEEPS), chosen)

    def _sweep(self, done: Done, *, is_now: bool) -> None:
        async def step() -> str:
            made = await self._admin.post("admin/files/sweep", {"now": is_now})
            option = " --now" if is_now else ""
            return (f"{made['files']} files, {made['blobs']} contents, {made['uploads']} uploads,"
                    f" {made['leftovers']} leftovers\n$ pylon files sweep{option}")  # fmt: skip

        self.run("sweep", step, done)

    def verify(self, done: Done) -> None:
        """Look for bytes that are missing or others, after a choice how."""

        def chosen(key: str | None) -> None:
            if key is not None:
                self._verify(done, is_deep=key == "hash")

        self._app.push_screen(Menu("Verify", _CHECKS), chosen)

    def _verify(self, done: Done, *, is_deep: bool) -> None:
        async def step() -> str:
            found = await self._admin.get("admin/files-verify", hash="1" if is_deep else None)
            if found["faults"]:
                count, faults = len(found["faults"]), "\n".join(map(str, found["faults"]))
                title = f"{count} contents are not as they should be"
                hint = "Take them from a backup: pylon restore FILE"
                self._app.push_screen(Details(title, f"{faults}\n\n{hint}"))
                return ""
            option = " --hash" if is_deep else ""
            return (f"{found['checked']} contents are as they should be, {found['orphans']} that"
                    f" no file has\n$ pylon files verify{option}")  # fmt: skip

        self.run("verify", step, done)

    def open(self, one: File) -> None:
        """Open a file in a browser; whoever is signed in there must be allowed to read it."""
        url = f"{self._app.page_url()}/api/files/{self._admin.quoted(str(one['id']))}"

        async def work() -> None:
            opened = await open_page(url)
            rights = "\nas whom you are signed in there; 404: he may not read it"
            say(self._app, f"{url}{rights}" if opened else f"no browser here; open {url}",
                seconds=6)  # fmt: skip

        self._app.run_worker(work(), name="open", group="open")
