"""The error tree: drawn as it is, told in full by its module, one status for a code."""

from __future__ import annotations

import inspect
import re

from pylon import errors
from pylon.errors import PylonError, Refused


def _tree() -> dict[str, type[PylonError]]:
    return {
        name: one
        for name, one in vars(errors).items()
        if inspect.isclass(one) and issubclass(one, PylonError) and one is not PylonError
    }


def test_the_tree_is_drawn_as_it_is() -> None:
    """The module's docstring names each class of the module, below its own parent."""
    drawn: dict[str, str] = {}
    above = {0: "PylonError"}
    for line in str(errors.__doc__).splitlines():
        found = re.match(r"([│ ]*)[├└]── (\w+)", line)
        if found:
            depth = len(found[1]) // 4 + 1
            drawn[found[2]] = above[depth - 1]
            above[depth] = found[2]
    in_prose = {name for name in _tree() if f"({name}:" in str(errors.__doc__)}
    assert set(drawn) | in_prose == set(_tree())
    assert {name: _tree()[name].__base__.__name__ for name in drawn} == drawn


def test_the_module_gives_every_error_whichever_file_it_lives_in() -> None:
    """What is imported from `pylon.errors` is the whole tree: its codes are taken from there."""
    below: set[type[PylonError]] = set()
    left = [PylonError]
    while left:
        one = left.pop()
        below.add(one)
        left += [sub for sub in one.__subclasses__() if sub.__module__.startswith("pylon.errors")]
    assert {one.__name__ for one in below} | {"Mistake"} == set(errors.__all__)
    assert sorted(errors.__all__) == errors.__all__


def test_a_docstring_is_the_default_message() -> None:
    """Each class says what happened in one short sentence, which is what callers get."""
    for name, one in _tree().items():
        first = str(one.__doc__)
        assert re.fullmatch(r"[A-Z].*\.", first, re.DOTALL), name
        assert len(first) < 200, name


def test_a_code_has_one_status() -> None:
    """Clients decide by the code: two errors of one code answer alike."""
    by_code: dict[str, set[object]] = {}
    for one in _tree().values():
        if one is not Refused and one.code != PylonError.code:
            by_code.setdefault(one.code, set()).add((one.http_status, one.is_transient))
    assert {code: found for code, found in by_code.items() if len(found) > 1} == {}
