"""`pylon branch`: copies of the database to work on, beside a running runtime or without one."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import click

from pylon.cli.files import size_text
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.progress import Progress
from pylon.cli.project import find_project, json_option, project_option
from pylon.cli.reach import ask_runtime
from pylon.client.admin import AdminClient, AdminError
from pylon.clock import SystemClock
from pylon.printable import counted
from pylon.supervisor.registry import running_runtime

_POLL_SECONDS = 0.2
#: A runtime that has not come back by then has failed to.
_SWITCH_SECONDS = 60.0
_SHOWN = 100


@click.group(short_help="Copies of the database: create, switch, diff, drop.")
def branch() -> None:
    """Copies of the database to work on: create, switch, diff, drop, list.

    Each is a file of its own below .pylon/branches; the first one is called main.
    """


@branch.command("list", short_help="Show the branches, and which is in use.")
@project_option
@json_option
def list_(project_path: str | None, as_json: bool) -> None:
    """Show the branches: where each came from, when, how large it is, and which is in use."""
    project = find_project(project_path)

    def offline(data: Path) -> dict[str, Any]:
        from pylon.server.storage import branches

        found = [one.to_json() for one in branches.list_branches(data)]
        current = next(one["name"] for one in found if one["is_current"])
        return {"current": current, "branches": found, "making": None, "failure": None}

    if running_runtime(project) is not None:
        answer = ask_runtime(project, lambda admin: admin.get("admin/branches"))
    else:
        answer = offline(_data(project))
    if as_json:
        print_json(answer)
        return
    print_table(
        ["", "BRANCH", "OF", "MADE", "AT SEQ", "SIZE", "WHY"],
        [
            ["*" if one["is_current"] else "", one["name"], one["of"], one["made_at"],
             one["made_head"], size_text(one["bytes"]), one["why"]]
            for one in answer["branches"]
        ],
    )  # fmt: skip


@branch.command("create", short_help="Copy the database into a new branch.")
@click.argument("name")
@click.option("--of", metavar="BRANCH", help="Copy this one (default: the one in use).")
@click.option("--masked", "is_masked", is_flag=True,
              help="With pseudonyms in the place of what people wrote.")  # fmt: skip
@click.option("--keep", multiple=True, metavar="ENTITY.FIELD",
              help="With --masked: leave this field as it is; repeatable.")  # fmt: skip
@click.option("--seeded", "is_seeded", is_flag=True, help="No copy: empty, filled by seed.py.")
@click.option("--switch", "and_switch", is_flag=True, help="Go on with it at once.")
@project_option
@json_option
def create(
    name: str, of: str | None, is_masked: bool, keep: tuple[str, ...], is_seeded: bool,
    and_switch: bool, project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Copy the database into the branch NAME, while the app runs or not.

    Jobs, mails and workflow runs that wait are cancelled in the copy: they run where they were.
    --seeded runs the app's code: it starts where nobody can reach it, and runs seed.py.
    """
    if keep and not is_masked:
        raise click.UsageError("--keep goes with --masked")
    if is_seeded and (is_masked or of is not None):
        raise click.UsageError("--seeded is no copy: neither --of nor --masked")
    project = find_project(project_path)
    asked = {"name": name, "of": of, "masked": is_masked, "keep": list(keep)}
    if is_seeded:
        from pylon.cli.branch_seeded import create_seeded

        made = asyncio.run(create_seeded(project, name))
    elif running_runtime(project) is not None:
        made = ask_runtime(project, lambda admin: _create(admin, asked))
    else:
        made = asyncio.run(_create_offline(project, asked))
    if not as_json:
        print_line(f"{name}: {size_text(made['bytes'])}, {_what(made)}")
    if and_switch:
        made = {**made, "is_current": True}
        _switch(project, name, consent=False)
        if not as_json:
            print_line(f"{project.name} is on {name}")
    elif not as_json:
        say(f"go on with it: pylon branch switch {name}")
    if as_json:
        print_json(made)


def _what(made: dict[str, Any]) -> str:
    if made["is_seeded"]:
        return f"filled by seed.py: {counted(made['made_head'], 'change')}"
    return f"a {'masked ' * made['is_masked']}copy of {made['of']} at {made['made_head']}"


async def _create(admin: AdminClient, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked["name"]
    asking = asyncio.ensure_future(admin.post("admin/branches", asked))
    with Progress(f"pages of {name} copied") as progress:
        while not asking.done():
            await asyncio.wait((asking,), timeout=_POLL_SECONDS)
            making = (await admin.get("admin/branches"))["making"]
            if making is not None and making["name"] == name:
                progress.step(making["done"] - progress.count)
        answer = asking.result()
        while "making" in answer:
            found = await admin.get("admin/branches")
            if found["making"] is not None:
                progress.step(found["making"]["done"] - progress.count)
                await asyncio.sleep(_POLL_SECONDS)
            elif found["failure"] is not None:
                raise AdminError(found["failure"]["message"], answer=found["failure"])
            else:
                answer = next(one for one in found["branches"] if one["name"] == name)
    return answer


async def _create_offline(project: Path, asked: dict[str, Any]) -> dict[str, Any]:
    from pylon.app.shown_code import literals_of
    from pylon.server.offline import database_path
    from pylon.server.storage import branches
    from pylon.server.storage.masked import Mask
    from pylon.server.storage.place import place_in_use

    data = _data(project)
    name, of, mask = asked["name"], asked["of"], None
    if of is None:
        database_path(project)
    if asked["masked"]:
        mask = Mask(keep=tuple(asked["keep"]), literals=literals_of(project))
    source = place_in_use(data) if of is None else branches.find(data, of)
    with _owned(data), Progress(f"pages of {name} copied") as progress:
        made = await branches.create(
            source, branches.demand_new_name(name), SystemClock(),
            progress=lambda done, _: progress.step(done - progress.count), mask=mask,
        )  # fmt: skip
    return made.to_json()


@branch.command("switch", short_help="Go on with another branch.")
@click.argument("name")
@click.option("--consent", is_flag=True, help="Also in production, for everybody at once.")
@project_option
@json_option
def switch(name: str, consent: bool, project_path: str | None, as_json: bool) -> None:
    """Have the app go on with the branch NAME, under a new epoch; open pages load anew.

    Whoever is signed in stays so, where the branch has the account.
    """
    project = find_project(project_path)
    done = _switch(project, name, consent=consent)
    if as_json:
        print_json(done)
    else:
        print_line(f"{project.name} is on {name}; before: {done['before']}")


def _switch(project: Path, name: str, *, consent: bool) -> dict[str, Any]:
    if running_runtime(project) is not None:
        return ask_runtime(project, lambda admin: _switch_running(admin, name, consent=consent))
    import secrets

    from pylon.server.storage import branches
    from pylon.server.storage.place import use_place

    data = _data(project)
    with _owned(data):
        branches.demand_switchable(data, name)
        place = use_place(data, name, secrets.token_hex(16))
    return {"branch": name, "before": place.before}


async def _switch_running(admin: AdminClient, name: str, *, consent: bool) -> dict[str, Any]:
    epoch = (await admin.get("admin/status"))["epoch"]
    done = await admin.post(
        f"admin/branches/{admin.quoted(name)}/switch", {"consent": consent}
    )  # fmt: skip
    clock = SystemClock()
    until = clock.monotonic() + _SWITCH_SECONDS
    while clock.monotonic() < until:
        await asyncio.sleep(_POLL_SECONDS)
        with suppress(AdminError):  # between its two lives nobody answers
            status = await admin.get("admin/status")
            if status["epoch"] == epoch:
                continue
            if status["branch"] != name:
                raise CommandFailed(
                    f"the app did not start on {name}; it is back on {status['branch']}",
                    "the lines of the runtime say why",
                )
            return done
    raise CommandFailed(
        f"the app has not come back within {_SWITCH_SECONDS:g} s", "look at the runtime's lines"
    )


@branch.command("diff", short_help="Show what differs between two branches.")
@click.argument("old")
@click.argument("new", required=False)
@click.option("--entity", metavar="NAME", help="The rows of this entity, not only counts.")
@click.option("--after", metavar="ID", help="Go on behind this row.")
@click.option(
    "--limit", type=click.IntRange(1, 500), default=_SHOWN, metavar="N", show_default=True,
    help="Rows at most.",
)  # fmt: skip
@project_option
@json_option
def diff(
    old: str, new: str | None, entity: str | None, after: str | None, limit: int,
    project_path: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Show what is in NEW (default: the branch in use) and not in OLD, or otherwise there.

    Without --entity: how many rows of each were added, removed, changed.
    """
    project = find_project(project_path)
    given = {"old": old, "new": new, "entity": entity, "after": after, "limit": limit}
    if running_runtime(project) is not None:
        wanted = given if entity is not None else {"old": old, "new": new}
        answer = ask_runtime(project, lambda admin: admin.get("admin/branches-diff", **wanted))
    else:
        answer = asyncio.run(_diff_offline(project, given))
    if as_json:
        print_json(answer)
    elif entity is None:
        print_table(
            ["ENTITY", "ADDED", "REMOVED", "CHANGED", "FIELDS"],
            [[one["entity"], one["added"], one["removed"], one["changed"], fields_text(one)]
             for one in answer["entities"]],
        )  # fmt: skip
    else:
        _print_rows(answer, entity)


def fields_text(one: dict[str, Any]) -> str:
    """Return how the fields of an entity differ between two branches, in a few words."""
    if one["is_in"] != [True, True]:
        return "the entity is new" if one["is_in"][1] else "the entity is gone"
    words = [f"+{name}" for name in one["fields_added"]]
    return " ".join(words + [f"-{name}" for name in one["fields_removed"]])


def _print_rows(answer: dict[str, Any], entity: str) -> None:
    marks = {"added": "+", "removed": "-", "changed": "~"}
    for row in answer["rows"]:
        print_line(f"{marks[row['kind']]} {entity}/{row['id']}")
        for name in row["fields"]:
            before, after = (_value(row[side][name]) for side in ("before", "after"))
            print_line(f"    {name}: {before} -> {after}")
    if answer["next"] is not None:
        say(f"there are more: --after {answer['next']}")


def _value(value: Any) -> str:
    from pylon import jsonvalue

    text = jsonvalue.encode_text(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


async def _diff_offline(project: Path, given: dict[str, Any]) -> dict[str, Any]:
    from pylon.server.offline import database_path
    from pylon.server.storage import branch_diff, branches
    from pylon.server.storage.place import place_in_use

    data = _data(project)
    database_path(project)  # before the names: where there is no database, there are no branches
    old = branches.find(data, given["old"])
    new = place_in_use(data) if given["new"] is None else branches.find(data, given["new"])
    clock = SystemClock().monotonic
    names = {"old": old.branch, "new": new.branch}
    if given["entity"] is None:
        return {**names, "entities": await branch_diff.compare(old, new, clock)}
    page = await branch_diff.compare_rows(
        old, new, given["entity"], after=given["after"] or "", limit=given["limit"], clock=clock
    )
    return {**names, **page}


@branch.command("drop", short_help="Remove a branch.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@project_option
@json_option
def drop(name: str, yes: bool, project_path: str | None, as_json: bool) -> None:
    """Remove the branch NAME and what was written there. Asks you to type its name.

    The one in use, and main, can't be dropped.
    """
    project = find_project(project_path)
    if not yes:
        from pylon.cli.copies import ask_for

        say(f"this removes the branch {name} of {project.name}, and its rows with it")
        ask_for(name)
    if running_runtime(project) is not None:
        path = f"admin/branches/{AdminClient.quoted(name)}/drop"
        ask_runtime(project, lambda admin: admin.post(path, {"confirm": name}))
    else:
        from pylon.server.storage import branches

        data = _data(project)
        with _owned(data):
            branches.drop(data, name)
    if as_json:
        print_json({"dropped": name})
    else:
        print_line(f"{name} is gone")


def _data(project: Path) -> Path:
    return project / ".pylon"


def _owned(data: Path) -> AbstractContextManager[None]:
    """Own the folder of a project that does not run."""
    from pylon.server.storage.folder import owned

    return owned(data)
