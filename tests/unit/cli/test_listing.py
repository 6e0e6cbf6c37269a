"""Groups that list by default: options of `list` need no `list` in front of them."""

from __future__ import annotations

import click
import pytest

from pylon.cli.main import cli


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["--state", "dead"], "list"),
        (["--json", "--state", "dead"], "list"),
        (["--project", ".", "--limit=3"], "list"),
        (["list", "--state", "dead"], "list"),
        (["show", "--json", "j1"], "show"),
        (["retry", "--all"], "retry"),
    ],
)
def test_options_of_the_list_mean_the_list(given: list[str], meant: str) -> None:
    """`pylon jobs --state dead` is `pylon jobs list --state dead`."""
    group = cli.get_command(click.Context(cli), "jobs")
    assert isinstance(group, click.Group)
    context = group.make_context("jobs", list(given))
    name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert name == meant
    assert command is not None
    _ = command.make_context(meant, rest, parent=context)


@pytest.mark.parametrize("given", [[], ["--json"], ["--project", "."]])
def test_options_of_the_group_stay_its_own(given: list[str]) -> None:
    """Without an option that only `list` has, the group lists by itself."""
    for name in ("jobs", "workflows", "files", "mail"):
        group = cli.get_command(click.Context(cli), name)
        assert isinstance(group, click.Group)
        context = group.make_context(name, list(given))
        assert [*context._protected_args, *context.args] == []


def test_an_option_that_nobody_has_is_the_lists_mistake() -> None:
    """The paragraph leads to the help that has the options."""
    group = cli.get_command(click.Context(cli), "workflows")
    assert isinstance(group, click.Group)
    context = group.make_context("workflows", ["--stat", "dead"])
    _, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
    assert command is not None
    with pytest.raises(click.NoSuchOption, match="--stat"):
        _ = command.make_context("list", rest, parent=context)
