"""What a command says: data on stdout (lines or JSON), talk and errors on stderr, exit codes.

Exit codes are an interface: 0 done, 1 the thing asked for failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any

import click

from pylon import jsonvalue
from pylon.errors import PylonError
from pylon.printable import STEERING, clean_block

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
_COLUMN_WIDTH_MAX = 48
#: What could steer a terminal and JSON leaves as it is; in JSON it stands inside texts only.
_ESCAPES = {code: f"\\u{code:04x}" for code in STEERING if code >= 0x7F}


class CommandFailed(click.ClickException):
    """One short paragraph on stderr: what is wrong, and what to do. Exit code 1."""

    exit_code = EXIT_FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def show(self, file: Any = None) -> None:
        """Print the paragraph."""
        click.echo(f"pylon: {clean_block(self.message)}", file=file or sys.stderr)
        if self.hint:
            click.echo(f"  {clean_block(self.hint)}", file=file or sys.stderr)


def failure_of(error: PylonError) -> CommandFailed:
    """Return the paragraph for an error of the product."""
    first, newline, rest = error.message.partition("\n")
    hint = error.hint if error.hint and error.hint not in rest else None
    return CommandFailed(f"{first} [{error.code}]{newline}{rest}", hint)


def usage_of(error: click.UsageError) -> click.ClickException:
    """Return the paragraph for wrong usage: what is wrong, and where to read how it is right."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    message = error.format_message().rstrip(".")
    command = error.ctx.command_path if error.ctx is not None else "pylon"
    return CommandFailed(message[:1].lower() + message[1:], f"`{command} --help` says how")


def say(text: str) -> None:
    """Print narration for a person, on stderr."""
    click.echo(clean_block(text), file=sys.stderr)


def print_json(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(jsonvalue.encode_text(value).translate(_ESCAPES))


def print_line(text: str) -> None:
    """Print one line of data."""
    click.echo(clean_block(text))


def print_pair(name: str, value: Any) -> None:
    """Print the name of a value and the value: a text as it is, anything else as JSON."""
    text = value if isinstance(value, str) else jsonvalue.encode_text(value)
    print_line(f"{name:<14} {text}")


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print aligned columns; long cells are cut with a mark."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max([len(head), *(len(row[place]) for row in cells)]) for place, head in enumerate(heads)
    ]
    for row in [list(heads), *cells]:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else jsonvalue.encode_text(value)
    text = clean_block(text).replace("\n", "⏎").replace("\t", " ")
    return text if len(text) <= _COLUMN_WIDTH_MAX else text[: _COLUMN_WIDTH_MAX - 1] + "…"
