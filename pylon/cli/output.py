"""What a command says: data on stdout (lines or JSON), talk and errors on stderr, exit codes.

Exit codes are an interface: 0 done, 1 the thing asked for failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

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
    if not message[1:2].isupper():  # click's sentences begin large; URL and JSON stay what they are
        message = message[:1].lower() + message[1:]
    return CommandFailed(message, f"`{command} --help` says how")


def say(text: str) -> None:
    """Print narration for a person, on stderr; where nobody is left to read it, go on without."""
    write_through(sys.stderr, clean_block(text) + "\n")


def write_through(stream: TextIO, text: str) -> None:
    """Write and flush; what can't be written is lost, to a pipe without a reader from then on.

    For narration of what goes on anyway: a supervisor must not fall with the `tee` behind it, nor
    with the full disk that its lines go to.
    """
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        let_go(stream)
    except OSError:
        return  # a full disk may have room again: what comes next is tried


def let_go(stream: TextIO) -> None:
    """Drop what a stream still holds, now and when it is closed: nobody takes it."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_json(value: Any) -> None:
    """Print one JSON value on a line of its own."""
    click.echo(jsonvalue.encode_text(value).translate(_ESCAPES))


def print_line(text: str) -> None:
    """Print one line of data."""
    click.echo(clean_block(text))


class DataOut:
    """Standard output for data that comes as bytes: as it is, but not onto a terminal.

    There, what could steer it becomes marks.
    """

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._is_terminal = sys.stdout.isatty()

    def write(self, data: bytes) -> int:
        """Write a piece of it."""
        if self._is_terminal:
            sys.stdout.write(clean_block(self._decode(data)))
        else:
            sys.stdout.buffer.write(data)
        return len(data)


def print_done(done: Any, text: str, *, as_json: bool) -> None:
    """Print what was done: the answer as JSON, or a line about it."""
    print_json(done) if as_json else print_line(text)


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
