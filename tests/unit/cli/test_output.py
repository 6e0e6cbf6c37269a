"""Narration of what goes on anyway: it ends nobody, wherever its lines go."""

from __future__ import annotations

import os

import pytest

from pylon.cli.output import write_through


def test_a_full_disk_behind_the_lines_is_no_reason_to_end() -> None:
    """/dev/full takes no byte: who reads what a runtime prints must go on reading."""
    stream = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 -- closing it fails, too
    write_through(stream, "lost\n")
    write_through(stream, "lost too\n")
    with pytest.raises(OSError, match="No space left"):
        stream.close()


def test_a_reader_that_has_gone_is_no_reason_to_end() -> None:
    """The first line finds that out, and the second goes nowhere."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        write_through(stream, "to nobody\n")
        write_through(stream, "to nobody, too\n")
