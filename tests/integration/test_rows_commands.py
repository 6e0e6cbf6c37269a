"""`pylon rows`: every verb on a running app, by the words of the command line."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pylon import limits_data
from pylon.cli import reach, rows, rows_many, sql
from pylon.cli.main import cli
from pylon.client import bulk
from pylon.client.admin import AdminError
from pylon.client.bulk import CountedRows, parts_of
from tests.integration import test_admin_data as data

world = data.world
World = data.World


class Shell:
    """Runs commands against a runtime of this process."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        loop = asyncio.get_running_loop()

        def ask_runtime(_: Any, ask: Any) -> Any:
            return asyncio.run_coroutine_threadsafe(ask(world.admin), loop).result(60)

        def ask_path(_: Any, method: str, path: str, given: dict[str, Any]) -> Any:
            def ask(admin: Any) -> Any:
                return admin.get(path, **given) if method == "GET" else admin.post(path, given)

            return ask_runtime(None, ask)

        monkeypatch.setattr(reach, "ask_runtime", ask_runtime)
        for module in (rows, rows_many, sql):
            for name, function in (("ask_runtime", ask_runtime), ("ask_path", ask_path)):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, function)
        monkeypatch.setattr(rows_many, "find_project", lambda _: Path("/nowhere"))

    async def run(self, *words: str, input: str | None = None) -> Result:
        """Run `pylon rows …`."""
        return await asyncio.to_thread(CliRunner().invoke, cli, ["rows", *words], input)

    async def json(self, *words: str) -> Any:
        """Run it with --json, and return what it prints."""
        done = await self.run(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
async def shell(world: World, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Return a shell over ten tasks."""
    return Shell(world, monkeypatch)


async def test_rows_are_listed_shown_made_and_copied(shell: Shell) -> None:
    """Entities; a filter with its order and columns; pages; one row; a new one and one like it."""
    assert "Task" in (await shell.run()).stdout
    found = await shell.json("list", "Task", "--where", "rank >= 2", "--order=-rank", "--order",
                             "title", "--fields", "title", "--limit", "2")  # fmt: skip
    assert found["rows"] == [{"id": "t8", "title": "task 8"}, {"id": "t7", "title": "task 7"}]
    found = await shell.json("list", "Task", "--where", "rank >= 2", "--order=-rank", "--order",
                             "title", "--after", found["next"])  # fmt: skip
    assert [one["id"] for one in found["rows"]] == ["t4", "t5"]
    assert await shell.json("list", "Task", "--count", "--as", "anonymous") == {"count": 5}
    assert (await shell.run("list", "Task", "--where", "titel == 1")).exit_code == 1
    made = await shell.json("create", "Task", f'{{"title":"new","ownerId":"{shell.world.ada}"}}',
                            "--id", "n1")  # fmt: skip
    copied = await shell.json("duplicate", "Task", "n1", "--set", '{"title":"like it"}')
    assert (copied["row"]["title"], copied["row"]["ownerId"]) == ("like it", shell.world.ada)
    shown = await shell.json("get", "Task", "n1")
    assert shown["row"]["_seq"] == made["seq"]
    text = (await shell.run("get", "Task", "n1")).stdout
    assert "hush-canary" in text
    assert "0 Remark by taskId (cascade)" in text
    assert (await shell.run("create", "Task", "[1]")).exit_code == 2


async def test_many_rows_are_looked_at_asked_about_changed_and_undone(shell: Shell) -> None:
    """By filter and by id; no means no; a look does nothing; undo finds the group."""
    words = ("edit", "Task", "--where", "rank >= 2", "--set", '{"isOpen":true}')
    done = await shell.run(*words, "--look")
    assert done.stdout.splitlines()[:2] == ["4 Task", "isOpen = true: 2 rows change"]
    done = await shell.run(*words, input="n\n")
    assert done.exit_code == 1
    done = await shell.run(*words, input="y\n")
    assert (done.exit_code, "4 rows: change" in done.stdout) == (0, True), done.output
    seq = (await shell.json("list", "Task", "--where", "id == 't8'"))["rows"][0]["_seq"]
    await shell.json("edit", "Task", "t8", "--set", '{"isOpen":false}')
    done = await shell.run("undo", str(seq))
    assert done.exit_code == 1
    assert "4 changes in 1 transaction\n" in done.stdout
    assert "Task t8 has changed since then" in done.stdout
    assert "--anyway skip" in done.stderr
    look = await shell.json("undo", str(seq), "--look")
    assert (look["changes"], len(look["depends"])) == (4, 1)
    done = await shell.run("undo", str(seq), "--anyway", "skip")
    assert "left as they are: 1" in done.stderr
    await shell.json("delete", "Task", "t4", "t5", "t7", "--yes")
    done = await shell.run("undo", str(seq), "--anyway", "skip")
    assert (done.exit_code, done.stdout) == (0, "nothing was left to undo\n"), done.output
    assert "left as they are: 4" in done.stderr
    again = await shell.json("undo", str(seq), "--anyway", "skip")
    assert (again["rows"], again["seq"]) == (0, None)
    assert (await shell.json("delete", "Task", "t1", "t2", "--yes"))["rows"] == 2
    done = await shell.run("delete", "Task", "--where", "rank == 99", "--yes")
    assert (done.exit_code, "no Task matches" in done.output) == (1, True)
    assert (await shell.run("delete", "Task", "--yes")).exit_code == 2
    assert (await shell.run("delete", "Task", "t3", "--where", "true", "--yes")).exit_code == 2


async def test_more_rows_than_one_transaction_go_in_parts_that_stop_at_the_first_refusal(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done stays and is told; what failed is named; one undo takes back all parts."""
    monkeypatch.setattr(limits_data, "BULK_ROWS_MAX", 5)
    monkeypatch.setattr(limits_data, "BULK_PART_ROWS", 3)
    await shell.world.insert("Lock", "l1", taskId="t7")
    done = await shell.run("delete", "Task", "--where", "true", "--yes")
    assert done.exit_code == 1
    assert "6 rows: 2 transactions" in done.stdout
    assert "t7: " in done.stderr
    left = [one["id"] for one in (await shell.json("list", "Task"))["rows"]]
    assert left == ["t6", "t7", "t8", "t9"]
    last = int(done.stderr.partition("pylon rows undo ")[2].split()[0])
    undone = await shell.json("undo", str(last))
    assert (undone["rows"], len(undone["parts"])) == (6, 2)
    assert (await shell.json("list", "Task", "--count")) == {"count": 10}
    undone = await shell.json("undo", str(undone["seq"]))  # the undo is a group, too
    assert undone["rows"] == 6


async def test_a_part_whose_answer_is_lost_is_sent_again_and_done_once(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime did it and the answer did not come, as when it is killed just then."""
    monkeypatch.setattr(bulk, "_PAUSE_SECONDS", 0.0)
    real, lost = shell.world.admin.post, []

    async def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = await real(path, body)
        if "group" in body and not lost:
            lost.append(answer)
            raise AdminError("the runtime does not answer")
        return answer

    monkeypatch.setattr(shell.world.admin, "post", post)
    head = shell.world.harness.runtime.services.database.head
    done = await shell.json("edit", "Task", "t1", "t2", "--set", '{"rank":80}', "--yes")
    assert (done["rows"], done["error"], lost[0]["seq"]) == (2, None, done["seq"])
    assert shell.world.harness.runtime.services.database.head == head + 2


async def test_an_export_is_a_new_file_with_its_rows_counted(shell: Shell, tmp_path: Path) -> None:
    """CSV by its name; nothing is overwritten; a mistake leaves no file."""
    await shell.json("edit", "Task", "t1", "--set", '{"title":"two\\nlines, \\"quoted\\""}')
    target = tmp_path / "tasks.csv"
    told = await shell.json("export", "Task", str(target), "--where", "isOpen", "--fields", "title")
    assert told["rows"] == 5
    assert target.read_text().startswith('id,title\nt1,"two\nlines, ""quoted"""\nt3,task 3\n')
    assert told["bytes"] == target.stat().st_size
    assert (await shell.run("export", "Task", str(target))).exit_code == 1
    other = tmp_path / "tasks.jsonl"
    assert (await shell.run("export", "Task", str(other), "--where", "titel")).exit_code == 1
    assert not other.exists()
    assert (await shell.json("export", "Task", str(other)))["rows"] == 10
    array, none = tmp_path / "tasks.json", tmp_path / "none.json"
    assert (await shell.json("export", "Task", str(array)))["rows"] == 10
    lines = other.read_text().splitlines()
    assert json.loads(array.read_text()) == [json.loads(one) for one in lines]
    assert (await shell.json("export", "Task", str(none), "--where", "rank > 99"))["rows"] == 0
    assert json.loads(none.read_text()) == []
    done = await shell.run("export", "Task", "-", "--format", "json")
    assert done.stdout == array.read_text()


async def test_an_expression_is_completed_by_the_fields_of_its_entity(shell: Shell) -> None:
    """The same words as in the dashboard's line; private fields are none of them."""
    offers = (await shell.json("complete", "Task", "isO"))["offers"]
    assert [one["text"] for one in offers] == ["isOpen", "isOwner()"]
    text = (await shell.run("complete", "Task", "")).stdout
    assert "rank" in text
    assert "code" not in text
    assert (await shell.run("complete", "Nothing", "")).exit_code == 1


def test_parts_and_rows_are_counted() -> None:
    """Up to the limit one part; a quoted end of a line, cut anywhere, ends no row."""
    ids = [str(n) for n in range(limits_data.BULK_ROWS_MAX + 1)]
    assert len(parts_of(ids[1:])) == 1
    assert [one for part in parts_of(ids) for one in part] == ids
    assert max(len(part) for part in parts_of(ids)) == limits_data.BULK_PART_ROWS
    text = b'id,a\n1,"x\ny ""z"" \n"\n2,b\n'
    for cut in range(len(text)):

        class Sink:
            def write(self, data: bytes) -> int:
                return len(data)

        counted = CountedRows(Sink(), "csv", lambda _: None)  # type: ignore[arg-type]
        counted.write(text[:cut])
        counted.write(text[cut:])
        assert counted.rows == 2, cut
