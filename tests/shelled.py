"""Lines for a shell, held against the real commands: does each of their words mean something?"""

from __future__ import annotations

import shlex

import click

from pylon.cli.main import cli
from pylon.tui.command_log import redirected


def parsed(line: str) -> str:
    """Return the name of the command of a line, such as "jobs retry".

    Raises click.UsageError where the command does not take what the line gives it.
    """
    words = shlex.split(redirected(line)[0])
    assert words[0] == "pylon"
    command: click.Command = cli
    parent: click.Context | None = None
    names: list[str] = []
    args = words[1:]
    while isinstance(command, click.Group):
        context = command.make_context("pylon", args, parent=parent, resilient_parsing=False)
        name, found, args = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert name is not None
        assert found is not None
        names.append(name)
        command, parent = found, context
    command.make_context(names[-1], args, parent=parent)
    return " ".join(names)


def command_of(name: str) -> click.Command | None:
    """Return the command of a name such as "jobs retry"; None where there is none."""
    command: click.Command | None = cli
    for word in name.split():
        if not isinstance(command, click.Group):
            return None
        command = command.get_command(click.Context(command), word)
    return command
