"""Text to nodes: precedence, spellings, bounds, and where a mistake is seen."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from pylon import limits
from pylon.policy.ast import (
    And,
    Call,
    Compare,
    Exists,
    ListNode,
    Literal,
    Node,
    Not,
    Or,
    Path,
    Shift,
)
from pylon.policy.grammar import GrammarError, parse


def plain(node: Node) -> object:
    """Return a node as nested tuples without its places."""
    match node:
        case Literal(value):
            return value
        case Path(names):
            return ".".join(names)
        case And(items):
            return ("and", *map(plain, items))
        case Or(items):
            return ("or", *map(plain, items))
        case Not(item):
            return ("not", plain(item))
        case Compare(op, left, right):
            return (op, plain(left), plain(right))
        case ListNode(items):
            return ["list", *map(plain, items)]
        case Call(name, arguments):
            return (f"{name}()", *map(plain, arguments))
        case Shift(value, ms):
            return ("shift", plain(value), ms)
        case Exists(entity, filters):
            return (f"exists {entity}", *((one.field, one.op, plain(one.value)) for one in filters))


def wrong(text: str) -> tuple[str, int]:
    """Return what is wrong with a text, and where."""
    with pytest.raises(GrammarError) as caught:
        parse(text)
    return caught.value.message, caught.value.at


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("data.a || data.b && data.c", ("or", "data.a", ("and", "data.b", "data.c"))),
        ("data.a && data.b || data.c", ("or", ("and", "data.a", "data.b"), "data.c")),
        ("(data.a || data.b) && data.c", ("and", ("or", "data.a", "data.b"), "data.c")),
        ("!data.a && data.b", ("and", ("not", "data.a"), "data.b")),
        ("!data.a == data.b", ("not", ("==", "data.a", "data.b"))),
        ("!!data.a", ("not", ("not", "data.a"))),
        ("not not data.a", ("not", ("not", "data.a"))),
        ("data.a || data.b || data.c", ("or", "data.a", "data.b", "data.c")),
        ("data.a != data.b", ("!=", "data.a", "data.b")),
        ("data.a <= data.b", ("<=", "data.a", "data.b")),
        ("data.a in [1, 'x', null]", ("in", "data.a", ["list", 1, "x", None])),
        ("data.a not  in []", ("not in", "data.a", ["list"])),
        ("!(data.a in auth.roles)", ("not", ("in", "data.a", "auth.roles"))),
        ("(data.a == 1) == true", ("==", ("==", "data.a", 1), True)),
        ("hasAnyRole('a', \"b\")", ("hasAnyRole()", "a", "b")),
        ("isOwner()", ("isOwner()",)),
    ],
)
def test_precedence(text: str, wanted: object) -> None:
    """Not binds tighter than and, and than or; comparisons bind tighter than not."""
    assert plain(parse(text)) == wanted


def test_symbols_and_words_are_two_spellings() -> None:
    """What a JavaScript person and a Python person type is one expression."""
    symbols = "!data.a && (data.b == 1 || data.c)"
    words = "not data.a and (data.b == 1 or data.c)"
    assert plain(parse(symbols)) == plain(parse(words))


def test_words_need_their_borders() -> None:
    """A name that begins like a word is a name."""
    assert plain(parse("data.note == data.order")) == ("==", "data.note", "data.order")
    assert plain(parse("notes == 1", bare_fields=True)) == ("==", "data.notes", 1)
    assert plain(parse("inside", bare_fields=True)) == "data.inside"


@pytest.mark.parametrize("name", ["days", "hours", "in", "not", "exists", "null", "true"])
def test_any_name_may_follow_a_dot(name: str) -> None:
    """A field called like a word of the language can be looked at."""
    assert plain(parse(f"data.{name} == 1")) == ("==", f"data.{name}", 1)


def test_a_bare_name_is_a_field_in_filters() -> None:
    """In filter expressions a bare name means the row's field; the roots stay what they are."""
    assert plain(parse("body == args.x", bare_fields=True)) == ("==", "data.body", "args.x")
    assert plain(parse("days < 3", bare_fields=True)) == ("<", "data.days", 3)
    assert plain(parse("body == args.x")) == ("==", "body", "args.x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("-1", -1), ("1.5", 1.5), ("1e3", 1000.0), ("-2.5E-1", -0.25),
        ("9223372036854775807", 2**63 - 1), ("'it\\'s'", "it's"), ('"a\\"b"', 'a"b'),
        (r"'a\\b\n\t'", "a\\b\n\t"), ("''", ""), ("'#'", "#"), ("true", True), ("null", None),
        ("'\U0001f600'", "\U0001f600"),
    ],
)  # fmt: skip
def test_literals(text: str, value: object) -> None:
    """Numbers keep their kind, texts take either quote and a few escapes."""
    found = plain(parse(text))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("now - days(1)", -86_400_000),
        ("now + hours(1) - minutes(30)", 1_800_000),
        ("now+seconds(0.001)", 1),
        ("now - hours(1.5)", -5_400_000),
    ],
)
def test_durations(text: str, ms: int) -> None:
    """Durations on one time add up to one shift, exact to the millisecond."""
    assert plain(parse(text)) == ("shift", "now", ms)


def test_exists() -> None:
    """The left side of each filter is a name, the right side a value."""
    text = "exists M(channelId == data.channelId, role in ['a'], x != null, y not in auth.roles)"
    assert plain(parse(text)) == (
        "exists M", ("channelId", "==", "data.channelId"), ("role", "in", ["list", "a"]),
        ("x", "!=", None), ("y", "not in", "auth.roles"),
    )  # fmt: skip


def test_lines_and_comments() -> None:
    """A text spans lines; what follows # up to the end of the line is for people."""
    text = "data.a  # isn't (( read [[\n  && data.b == '# this is' # end"
    assert plain(parse(text)) == ("and", "data.a", ("==", "data.b", "# this is"))


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("", "ends too early", 0),
        ("data.a ==", "ends too early", 9),
        ("data.a &&", "ends too early", 9),
        ("(data.a", "ends too early", 7),
        ("data.a = 1", "write ==", 7),
        ("data.a == 1 1", "'1' is not expected", 12),
        ("1 < 2 < 3", "'<' is not expected", 6),
        ("data.a == 'x", "does not end", 10),
        ("data.a == 'x\ny'", "does not end", 10),
        ("data..a", "'.a' is not expected", 5),
        ("[1, ]", "']' is not expected", 4),
        ("f(1,)", "')' is not expected", 4),
        ("exists M()", "')' is not expected", 9),
        ("exists M(a)", "')' is not expected", 10),
        ("data.a not 1", "'1' is not expected", 11),
        ("now + fortnights(1)", "'fortnights' is not expected", 6),
        ("now + days(-1)", "'-1)' is not expected", 11),
        ("data.a & data.b", "'&' is not expected", 7),
        ("@", "'@' is not expected", 0),
        ("01", "'01' is not expected", 0),
        ("'\\u0041'", "means nothing", 0),
        ("'a\0b'", "NUL", 0),
        ("'\ud800'", "surrogates", 0),
        ("1e400", "no finite double", 0),
        ("1" * 5000, "64 bits", 0),
        ("1 < 9223372036854775808", "64 bits", 4),
        ("-99999999999999999999 == 1", "64 bits", 0),
    ],
)
def test_mistakes_are_seen_where_they_are(text: str, message: str, at: int) -> None:
    """A text that is no expression is refused at the place where that shows."""
    found, place = wrong(text)
    assert message in found
    # The parser may stand before the space in front of a word.
    assert place + len(text[place:]) - len(text[place:].lstrip()) == at


DEEPEST = limits.POLICY_DEPTH_MAX


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("!(", ")"), ("f(", ")"), ("[", "]"), ("(data.a && ", ")"), ("!", "")],
)
def test_depth_is_bounded_exactly(opening: str, closing: str) -> None:
    """Depth 64 is read, 65 is refused, whatever it is that nests."""
    parse(opening * DEEPEST + "data.a" + closing * DEEPEST)
    deeper = DEEPEST + 1
    message, _ = wrong(opening * deeper + "data.a" + closing * deeper)
    assert message == f"nested deeper than {DEEPEST}"


def test_operators_count_for_depth_too() -> None:
    """Two operators per bracket make twice the depth, since whoever evaluates walks both."""
    half = DEEPEST // 2
    parse("(data.a || data.b && " * half + "data.c" + ")" * half)
    assert wrong("(data.a || data.b && " * (half + 1) + "data.c" + ")" * (half + 1))[0] == (
        f"nested deeper than {DEEPEST}"
    )


def test_brackets_in_texts_and_comments_nest_nothing() -> None:
    """Only brackets that are read as such count."""
    assert plain(parse(f"'{'(' * 100}' == data.a # {'[' * 100}")) == ("==", "(" * 100, "data.a")


@pytest.mark.parametrize("opening", ["!", "!(", "(!!!!", "[", "f(", "not "])
def test_a_flood_of_openings_ends_at_once(opening: str) -> None:
    """Nesting without end is refused quickly, and the interpreter's own limit is as before."""
    limit, begun = sys.getrecursionlimit(), time.perf_counter()
    wrong((opening * 9000)[: limits.POLICY_BYTES_MAX])
    assert time.perf_counter() - begun < 5
    assert sys.getrecursionlimit() == limit


def test_deep_texts_parse_in_a_small_thread() -> None:
    """The parser needs frames of Python, not the thread's stack."""
    found: list[object] = []
    size = threading.stack_size(256 * 1024)
    try:
        text = "!(" * 32 + "data.thread" + ")" * 32
        thread = threading.Thread(target=lambda: found.append(parse(text)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert len(found) == 1


def test_length_is_bounded_in_bytes() -> None:
    """8 KiB are read, one byte more is refused; what counts are bytes, not characters."""
    room = limits.POLICY_BYTES_MAX - len("data.a == ''")
    parse(f"data.a == '{'x' * room}'")
    assert wrong(f"data.a == '{'x' * (room + 1)}'")[0].startswith("longer than")
    assert wrong(f"data.a == '{'é' * (room // 2 + 1)}'")[0].startswith("longer than")


def test_wide_texts_are_not_deep() -> None:
    """A long row of alternatives is one level."""
    wide = " || ".join(["data.a == 1"] * 500)
    found = parse(wide)
    assert isinstance(found, Or)
    assert len(found.items) == 500
