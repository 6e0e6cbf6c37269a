"""What a report shows of settings, code and lines of the log, and what it takes out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon import errors
from pylon.app.shown_code import shown_code
from pylon.schema.pseudonyms import Pseudonyms
from pylon.server.bugs.settings import shown_settings
from pylon.server.bugs.words import Words, is_our_code
from pylon.server.config import load_config

MADE = Pseudonyms(b"a key")
TOML = """
# hunter2 is the password
[server]
port = 1234
host = "10.1.2.3"
durability = "normal"
[auth]
methods = ["magic", "oauth"]
[auth.oauth.github]
client_id = "env:GITHUB_ID"
client_secret = "plain-secret"
[mail]
url = "smtp://someone:p%40ssw0rd@mail.example:587"
[log]
retain_days = 3
[files]
anonymous = true
backend = "s3://bucket/prefix"
"""


def test_settings_keep_numbers_and_switches(tmp_path: Path) -> None:
    """Every text goes and becomes a secret, comments too; what is left starts an app."""
    (tmp_path / "pylon.toml").write_text(TOML)
    (tmp_path / ".env").write_text("GITHUB_ID=from-dotenv\nOTHER=another-one\n")
    shown = shown_settings(tmp_path, {"MY_TOKEN": "from-environ", "HOME": "/home/somebody"})
    kept = ("retain_days = 3", "anonymous = true", 'durability = "normal"', '["magic"]')
    assert all(one in shown.toml for one in kept)
    gone = ("hunter2", "1234", "10.1.2.3", "github.client", "plain-secret", "smtp", "s3://")
    assert not [one for one in gone if one in shown.toml]
    assert {"auth.methods: oauth", "auth.oauth", "mail.url", "files.backend"} <= {*shown.taken_out}
    assert shown.secrets >= {
        "plain-secret", "from-dotenv", "another-one", "from-environ", "someone", "p@ssw0rd"
    }  # fmt: skip
    assert "/home/somebody" not in shown.secrets
    (tmp_path / "pylon.toml").write_text(shown.toml)
    (tmp_path / ".env").unlink()
    assert load_config(tmp_path, is_dev=True, flags={}, environment={})["log.retain_days"] == 3


def test_settings_that_cannot_be_read_go_whole(tmp_path: Path) -> None:
    """A slip in the file must not show its lines."""
    (tmp_path / "pylon.toml").write_text('[mail]\nurl = "smtp://a:hunter2@b\n')
    shown = shown_settings(tmp_path, {})
    assert "hunter2" not in shown.toml
    assert shown.taken_out


def test_code_comes_with_what_it_imports_of_the_project(tmp_path: Path) -> None:
    """From the syntax tree, in packages and functions too; nothing from elsewhere or by a link."""
    (tmp_path / "app.py").write_text(
        "import os, helper\nfrom rules.prices import cost\n"
        "def late():\n    from rules import extra\n    import node_modules.evil, linked\n"
    )
    (tmp_path / "helper.py").write_text("import app\n")
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "__init__.py").write_text("")
    (tmp_path / "rules" / "prices.py").write_text("from . import deep\nfrom .deep import x\n")
    (tmp_path / "rules" / "extra.py").write_text("broken(\n")
    (tmp_path / "rules" / "deep.py").write_text("x = 1\n")
    (tmp_path / "unused.py").write_text("")
    (tmp_path / "linked.py").symlink_to(tmp_path / "unused.py")
    shown = shown_code(tmp_path, MADE, set())
    assert set(shown.files) == {
        "app.py", "helper.py", "rules/__init__.py", "rules/prices.py", "rules/extra.py",
        "rules/deep.py",
    }  # fmt: skip
    assert shown.files["rules/extra.py"] == "broken(\n"


def test_secrets_in_code_become_others_and_it_stays_code(tmp_path: Path) -> None:
    """By what they are given to, by their looks, because settings have them, and addresses."""
    source = (
        'api_key = "tiny-key"\nclass C:\n    password: str = "swordfish"\n'
        'call(token="by keyword", name="plain name")\n'
        'd = {"secret": "in a dict", "x": "in peace"}\n'
        'KEY = "sk_live_51Habcdef0123"\nJ = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc"\n'
        'def f(a, passwd="by default", *, b=1, otp="by keyword only"): ...\n'
        'os.environ.get("API_KEY", "stands in")\nconfig["password"] = "by its place"\n'
        'B = b"AKIA51Habcdef0123456789"\n'
        'U = "postgres://postgres:plain-login@localhost/postgres"  # or s3://me:in-comment@host\n'
        'x = "known-secret"\nwho = "boss@corp.example"\nSTATE = "draft"\n'
    )
    (tmp_path / "app.py").write_text(source)
    shown = shown_code(tmp_path, MADE, {"known-secret"})
    text = shown.files["app.py"]
    compile(text, "app.py", "exec")
    gone = ("tiny-key", "swordfish", "by keyword", "in a dict", "sk_live", "eyJ", "known-secret",
            "boss@corp", "by default", "by keyword only", "stands in", "by its place", "AKIA",
            "plain-login", "in-comment")  # fmt: skip
    assert not [one for one in gone if one in text]
    assert all(
        one in text
        for one in ("plain name", "in peace", '"draft"', ".invalid", "postgres://postgres:")
    )
    assert shown.taken_out == 14
    assert {"draft"} <= shown.literals
    assert "swordfish" not in shown.literals | shown.words


def _words(known: tuple[str, ...] = (), secrets: tuple[str, ...] = ()) -> Words:
    return Words(MADE, known, secrets, {"/home/ada/shop": "[project]", "/home/ada": "~"})


def test_a_line_keeps_known_words_only() -> None:
    """Words of the code and of Python stay, every other one is another, the same as in rows."""
    words = _words(("could", "charge", "Order"))
    made = words.text("ValueError: could not charge Order of Lovelace")
    assert made == f"ValueError: could not charge Order of {MADE.text('Lovelace')}"


def test_lines_of_ours_keep_our_words_up_to_what_the_app_said() -> None:
    """An event's own words are known; what follows a colon may be anybody's."""
    made = _words().text("error   job.dead polish: gone until connections")
    assert "job.dead" in made
    assert made.startswith("error   job.dead ")
    assert "connections" not in made
    assert "connections" in _words().text("gone until connections", is_ours=True)
    # A name that stands in our own examples is a name.
    assert "Ada" not in _words().text("Ada was here", is_ours=True)


@pytest.mark.parametrize("error", [errors.Conflict, errors.WorkflowDiverged, errors.JobLost])
def test_errors_of_ours_are_known_by_their_codes(error: type[errors.PylonError]) -> None:
    """Wherever in the tree they are written down; what the app's code raised is not among them."""
    assert is_our_code(error.code)
    assert not is_our_code(errors.StepFailed.code)
    assert not is_our_code("OUT_OF_PAPER")


def test_secrets_addresses_and_places_go() -> None:
    """Whole, and before words are looked at; control characters become marks."""
    words = _words(("token",), ("hunter2!", "hunter2!-long"))
    made = words.text(
        "token hunter2!-long at /home/ada/shop/x by \x1b]0;ada@x.example 10.0.0.7 ::1:2:3"
    )
    assert "hunter2" not in made
    assert "\x1b" not in made
    assert "ada@" not in made
    assert "10.0.0.7" not in made
    assert "[project]/" in made
    assert made.startswith("token [secret] at ")


def test_a_traceback_can_be_followed() -> None:
    """Files by their ends, lines, functions and the code's own words."""
    words = _words(("charge", "card", "order"))
    made = words.text(
        'Traceback (most recent call last):\n  File "/home/ada/shop/app.py", line 12, in charge\n'
        "    card.charge(order)\n"
        '  File "/usr/lib/python3.11/json/decoder.py", line 353, in raw_decode\nKeyError: 4711'
    )
    assert 'File "[project]/app.py", line 12, in charge' in made
    assert 'File "…/json/decoder.py", line 353, in raw_decode' in made
    assert "    card.charge(order)" in made
    assert made.endswith("KeyError: 4711")
