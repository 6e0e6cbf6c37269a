"""Groups whose first command, `list`, is also what they do when no command is named."""

from __future__ import annotations

from typing import Any

import click

LIST = "list"


class ListGroup(click.Group):
    """`pylon jobs --state dead` means `pylon jobs list --state dead`.

    Options that the group has itself (`--json`, `--project`, `--help`) stay the group's.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `list` in front of options that can only be meant for it."""
        own = {name: one for one in self.get_params(ctx) for name in one.opts}
        rest = list(args)
        while rest and rest[0].startswith("-") and rest[0] != "--":
            name, equals, _ = rest.pop(0).partition("=")
            option = own.get(name)
            if option is None:
                args = [LIST, *args]
                break
            if not equals and isinstance(option, click.Option) and not option.is_flag:
                rest = rest[1:]
        return super().parse_args(ctx, args)


def list_unless_told(ctx: click.Context, project_path: str | None, *, as_json: bool) -> Any:
    """Have the group of a context list what it is about, where no command of it is named.

    Returns what the list returns.

    Raises click.UsageError for options in front of a command, where they would mean nothing.
    """
    if ctx.invoked_subcommand is None:
        assert isinstance(ctx.command, click.Group)
        return ctx.invoke(ctx.command.commands[LIST], project_path=project_path, as_json=as_json)
    if as_json or project_path is not None:
        raise click.UsageError(f"options stand behind {ctx.invoked_subcommand}")
    return None
