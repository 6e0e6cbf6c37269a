"""`pylon files`: what files the running app has, whose and how large; delete, sweep, verify."""

from __future__ import annotations

import click

from pylon.cli.listing import ListGroup, list_unless_told
from pylon.cli.output import CommandFailed, print_json, print_line, print_table, say
from pylon.cli.project import json_option, project_option
from pylon.cli.reach import ask_path
from pylon.client.admin import AdminClient

_STATES = ("fresh", "owned", "released")


@click.group(
    cls=ListGroup, invoke_without_command=True, short_help="Show files; delete, sweep, verify."
)
@project_option
@json_option
@click.pass_context
def files(ctx: click.Context, project_path: str | None, as_json: bool) -> None:
    """Show the files of the running app; delete, sweep, verify.

    `pylon files` alone is `pylon files list`.
    """
    list_unless_told(ctx, project_path, as_json=as_json)


@files.command("list", short_help="List the newest or largest files, and totals.")
@click.option("--state", type=click.Choice(_STATES), help="In this state only.")
@click.option("--user", help="Brought by this user: e-mail or id.")
@click.option("--entity", help="In rows of this entity only.")
@click.option("--largest", is_flag=True, help="The largest first, not the newest.")
@click.option(
    "--search", metavar="LINE", help="As in the dashboard: words, state:x, user:x, type:x, !not."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@project_option
@json_option
def list_files(
    state: str | None = None, user: str | None = None, entity: str | None = None,
    largest: bool = False, search: str | None = None, limit: int = 50,
    project_path: str | None = None, as_json: bool = False,
) -> None:  # fmt: skip
    """List files: fresh (in no row yet), owned by rows, or released (about to be removed)."""
    found = ask_path(
        project_path, "GET", "admin/files",
        {"state": state, "uploader": user, "entity": entity, "search": search, "limit": limit,
         "order": "largest" if largest else "newest"},
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    totals = found["totals"]
    if not totals["files"] and not totals["uploads"]:
        say("there are no files; one is uploaded with POST /api/files")
        return
    print_table(
        ["STATE", "FILES", "SIZE"],
        [*([one, totals[one]["files"], size_text(totals[one]["bytes"])] for one in _STATES),
         ["on disk", totals["blobs"], size_text(totals["stored_bytes"])]],
    )  # fmt: skip
    if found["uploads"]:
        print_line("")
        print_table(
            ["UPLOAD", "NAME", "CAME", "OF", "BY"],
            [
                [one["id"], one["name"], size_text(one["offset"]), size_text(one["length"]),
                 one["email"]]
                for one in found["uploads"]
            ],
        )  # fmt: skip
    if found["files"]:
        print_line("")
        print_table(
            ["ID", "NAME", "TYPE", "SIZE", "STATE", "BY", "IN"],
            [
                [one["id"], one["name"], one["type"], size_text(one["size"]), one["state"],
                 one["email"], _owner_text(one["owners"])]
                for one in found["files"]
            ],
        )  # fmt: skip
    elif state or user or entity or search:
        say("no file is like that")


def _owner_text(owners: list[dict[str, str]]) -> str:
    if not owners:
        return ""
    first = owners[0]
    more = f" and {len(owners) - 1} more" if len(owners) > 1 else ""
    return f"{first['entity']}/{first['row_id']}.{first['field']}{more}"


def size_text(count: int) -> str:
    """Return a number of bytes for people."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@files.command("show", short_help="Show one file and the fields that hold it.")
@click.argument("file_id", metavar="ID")
@project_option
@json_option
def show(file_id: str, project_path: str | None, as_json: bool) -> None:
    """Show one file and the fields that hold it."""
    found = ask_path(project_path, "GET", f"admin/files/{AdminClient.quoted(file_id)}", {})
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        if key not in ("owners", "variants") and value is not None:
            print_line(f"{key:<11} {value}")
    for one in found["owners"]:
        print_line(f"{'in':<11} {one['entity']}/{one['row_id']}.{one['field']}")
    for one in found["variants"]:
        print_line(f"{'width':<11} {one['width']}, {size_text(one['bytes'])}")


@files.command("delete", short_help="Have a file go, out of the fields that hold it.")
@click.argument("file_id", metavar="ID")
@project_option
@json_option
def delete(file_id: str, project_path: str | None, as_json: bool) -> None:
    """Empty the fields that hold a file; nobody reads it from then on, and its bytes go soon."""
    done = ask_path(project_path, "POST", f"admin/files/{AdminClient.quoted(file_id)}/delete", {})
    if as_json:
        print_json(done)
    else:
        print_line(f"{done['name']} {done['id']} is released; its bytes go at {done['leaves_at']}")


@files.command("sweep", short_help="Remove what nobody owns and what broken uploads left.")
@click.option("--now", "is_now", is_flag=True, help="Also what was released a moment ago.")
@project_option
@json_option
def sweep(is_now: bool, project_path: str | None, as_json: bool) -> None:
    """Remove what nobody owns and what broken uploads left; the app does so by itself, too."""
    done = ask_path(project_path, "POST", "admin/files/sweep", {"now": is_now})
    if as_json:
        print_json(done)
    else:
        print_line(
            f"{done['files']} files, {done['blobs']} contents, {done['uploads']} uploads and"
            f" {done['leftovers']} leftovers removed"
        )


@files.command("verify", short_help="Look for files whose bytes are missing or damaged.")
@click.option("--hash", "is_deep", is_flag=True, help="Read and hash every file; takes its time.")
@project_option
@json_option
def verify(is_deep: bool, project_path: str | None, as_json: bool) -> None:
    """Look for files whose bytes are missing or damaged. Exits 1 where there are some."""
    found = ask_path(project_path, "GET", "admin/files-verify", {"hash": "1" if is_deep else None})
    if as_json:
        print_json(found)
    else:
        for fault in found["faults"]:
            print_line(fault)
    if found["faults"]:
        raise CommandFailed(
            f"{len(found['faults'])} contents are not as they should be",
            "take them from a backup: pylon restore FILE",
        )
    if not as_json:
        print_line(f"ok: {found['checked']} contents, {found['orphans']} that no file has")
