"""`pylon keys`: everything in the dashboard that can be bound, with its keys."""

from __future__ import annotations

import click

from pylon import paths
from pylon.cli.output import print_json, print_table, say
from pylon.cli.project import json_option


@click.command(short_help="Print what the dashboard's keys do.")
@json_option
def keys(*, as_json: bool) -> None:
    """Print what the dashboard's keys do.

    A file binds them otherwise, in TOML: `jobs.retry = "f6"`, or a list of keys. What can't hold
    in it is said and left out.
    """
    from pylon.tui.keymap import catalogue, read_keymap
    from pylon.tui.verbs import words_of_keys

    file = paths.keys_file()
    given = read_keymap(file)
    bound = [
        (one, given.keys[one.id].split(",") if one.id in given.keys else list(one.keys))
        for one in catalogue()
    ]
    if as_json:
        rows = [
            {"id": one.id, "keys": now, "usual": list(one.keys), "words": one.words,
             "places": list(one.places)}
            for one, now in bound
        ]  # fmt: skip
        print_json({"file": str(file), "keys": rows, "mistakes": given.complaints})
        return
    print_table(("id", "keys", ""), [(one.id, words_of_keys(now), one.words) for one, now in bound])
    for complaint in given.complaints:
        say(complaint)
    say(f"{file} binds them otherwise" + ("" if file.exists() else "; there is none yet"))
