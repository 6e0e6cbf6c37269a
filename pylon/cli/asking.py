"""Questions of yes or no, and what a command says where nobody is there to answer."""

from __future__ import annotations

import sys

import click

from pylon.cli.output import CommandFailed


def is_confirmed(question: str) -> bool:
    """Ask; raises CommandFailed where the input ends without an answer."""
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        if sys.stdin.isatty():  # somebody left with ctrl+c
            raise
        raise CommandFailed("this wants your consent", "--yes gives it") from None
