"""Mail: enqueued with the transaction, delivered to a real server, and secret where it must be."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import ssl
import subprocess
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import pytest

from pylon.client.admin import AdminClient
from pylon.errors import ConfigError, Refused, Unavailable
from pylon.server.background import check_settings
from pylon.server.config import load_config
from pylon.server.mail import smtp
from pylon.server.mail.message import Sender, build_message, checked_mail
from pylon.server.mail.smtp import SmtpTransport, parse_url
from pylon.testing.served import Caller, ServedProject
from tests.conftest import Serve
from tests.integration.jobs_app import JOBS
from tests.integration.smtp_server import SmtpServer, smtp_server

SENDER = Sender("Chat", "hi@chat.example")


async def _token(served: ServedProject, email: str) -> Caller:
    """Return a signed-in caller of a runtime in production, by a token of its owner's."""
    admin = AdminClient.local(served.project)
    try:
        made = await admin.post("admin/token", {"user": email})
    finally:
        await admin.close()
    return Caller(served, made["token"], made["user_id"])


async def _ended(who: Caller, job_id: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            found: dict[str, Any] = (await who.call("job", id=job_id)).body["value"]
            if found["state"] not in ("available", "running"):
                return found
            await asyncio.sleep(0.02)


async def test_mail_goes_out_with_the_commit_and_is_tried_again(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """4xx: later again; 5xx: dead with what the server said; rolled back: never sent."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    answers = {"nobody@example.com": "550 5.1.1 no such user", "busy@example.com": "451 4.3.2 busy"}
    async with smtp_server(answers=answers, accepts=("ann", "hunter2/x")) as server:
        served = await serve(
            JOBS, mode="serve", is_started=False,
            toml='[mail]\nurl = "env:SMTP_URL"\nfrom = "Chat <hi@chat.example>"\n',
            environment={"SMTP_URL": f"smtp://ann:hunter2%2Fx@127.0.0.1:{server.port}"},
        )  # fmt: skip
        (served.project / "mail").mkdir()
        (served.project / "mail" / "hello.txt").write_text(
            "Subject: Hi {{ name }}\n\nDear {{ name }}"
        )
        (served.project / "mail" / "hello.html").write_text("<p>Dear {{ name }}</p>")
        await served.start()
        ann = await _token(served, "ann@example.com")
        assert (await ann.call("mail", to="x@example.com", fail=True)).code == "ROLLED_BACK"
        await ann.call("mail", to="bob@example.com", template="hello", data={"name": "<Böb>"})
        (mail,) = await server.received(1)
        assert (mail["Subject"], mail["From"], mail["To"]) == (
            "Hi <Böb>", "Chat <hi@chat.example>", "bob@example.com"
        )  # fmt: skip
        text, html = mail.get_body(("plain",)), mail.get_body(("html",))
        assert text is not None
        assert html is not None
        assert text.get_content().strip() == "Dear <Böb>"
        assert html.get_content().strip() == "<p>Dear &lt;Böb&gt;</p>"
        assert server.envelopes[0][1] == ["bob@example.com"]

        refused = (await ann.call("mail", to="nobody@example.com")).body["value"]
        found = await _ended(ann, refused)
        assert (found["state"], found["attempt"]) == ("dead", 1)
        assert "no such user" in found["error"]
        waits = (await ann.call("mail", to="busy@example.com")).body["value"]
        found = await _ended(ann, waits)
        assert (found["state"], found["attempt"]) == ("scheduled", 1)
        assert "4.3.2 busy" in found["error"]
        server.answers.clear()
        admin = AdminClient.local(served.project)
        await admin.post(f"admin/jobs/{waits}/retry", {})
        await server.received(2)
        assert server.mails[1]["Message-ID"] == f"<{waits}@chat.example>"
        status = json.dumps(await admin.get("admin/jobs")) + json.dumps(
            await admin.get("admin/status")
        )
        await admin.close()
        await served.stop()
        assert "hunter2" not in served.output + status
        with sqlite3.connect(served.project / ".pylon" / "app.db") as raw:
            (count,) = raw.execute("SELECT count(*) FROM _pylon_jobs").fetchone()
        assert count == 3  # none of the transaction that was rolled back


async def test_a_sign_in_code_is_sent_and_then_known_to_nobody(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the project's own template; not in the log, jobs, mail screen or database (I71)."""
    monkeypatch.setenv("PYLON_STATE_DIR", str(tmp_path / "state"))
    async with smtp_server() as server:
        served = await serve(
            JOBS, mode="serve", is_started=False,
            toml=f'[mail]\nurl = "smtp://127.0.0.1:{server.port}"\n',
        )  # fmt: skip
        (served.project / "mail").mkdir()
        (served.project / "mail" / "code.txt").write_text("Subject: {{ app }}\n\n>{{ code }}<")
        await served.start()
        nobody = served.anonymous()
        await nobody.post("/api/auth/magic/send", {"email": "ann@example.com"})
        (mail,) = await server.received(1)
        code = str(mail.get_content()).partition(">")[2].partition("<")[0]
        verified = await nobody.post(
            "/api/auth/magic/verify", {"email": "ann@example.com", "code": code}
        )
        assert verified.status == 200
        admin = AdminClient.local(served.project)
        shown = [await admin.get(f"admin/{one}") for one in ("jobs", "mail", "logs", "calls")]
        job_id = shown[0]["jobs"][0]["id"]
        shown.append(await admin.get(f"admin/jobs/{job_id}"))
        await admin.close()
        assert shown[-1]["state"] == "completed"
        assert code not in json.dumps(shown)
        await served.stop()
        assert code not in served.output
        with sqlite3.connect(served.project / ".pylon" / "app.db") as raw:
            assert raw.execute("SELECT args FROM _pylon_jobs").fetchall() == [("{}",)]


async def test_without_a_server_mail_stays_here_and_a_bad_template_keeps_nobody_out(
    serve: Serve,
) -> None:
    """The start warns, files are their owner's alone; ours is sent where the project's fails."""
    served = await serve(JOBS, mode="serve", is_started=False)
    (served.project / "mail").mkdir()
    (served.project / "mail" / "code.txt").write_text("Subject: x\n\n{{ nothing }}")
    await served.start()
    assert "mail.not_sent" in served.output
    await served.anonymous().post("/api/auth/magic/send", {"email": "ann@example.com"})
    async with asyncio.timeout(60):
        while not (files := list((served.project / ".pylon" / "outbox").glob("*.eml"))):
            await asyncio.sleep(0.01)
    assert files[0].stat().st_mode & 0o777 == 0o600
    mail = message_from_bytes(files[0].read_bytes(), policy=default)
    assert str(mail["Subject"]).startswith("Your code: ")
    assert "mail.template_failed" in served.output


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PYLON_MAIL_URL", "http://a:hunter2@b", "mail.url: it is smtp://"),
        ("PYLON_MAIL_FROM", "nobody", "mail.from: the sender is an address"),
        ("PYLON_JOBS_QUEUES", "mail", "jobs.queues: 'mail' is no queue"),
    ],
)
def test_settings_that_say_nothing_are_told(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    """With the key, and without the secret; they stop the start."""
    config = load_config(tmp_path, is_dev=False, flags={}, environment={name: value})
    with pytest.raises(ConfigError) as wrong:
        check_settings(config)
    assert words in wrong.value.message
    assert "hunter2" not in wrong.value.message


def _certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate


def _message() -> Any:
    return build_message(checked_mail("bob@example.com", "s", "secret text"), SENDER, "1", 0)


async def _deliver(server: SmtpServer, url: str) -> None:
    transport = SmtpTransport(parse_url(url.replace("PORT", str(server.port))), SENDER)
    await transport.deliver(_message(), "bob@example.com")


async def test_nothing_is_said_in_the_clear_to_a_server_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """STARTTLS or nothing: no password, no address, no text; and the certificate is checked."""
    monkeypatch.setattr(smtp, "is_this_machine", lambda host: False)
    url = "smtp://ann:hunter2@localhost:PORT"
    async with smtp_server(accepts=("ann", "hunter2")) as server:
        with pytest.raises(Unavailable, match="STARTTLS"):
            await _deliver(server, url)
        assert {one.split()[0] for one in server.plain} <= {"EHLO", "QUIT", "RSET"}
    context, certificate = _certificate(tmp_path)
    async with smtp_server(accepts=("ann", "hunter2"), tls=context) as server:
        with pytest.raises(Unavailable, match=r"(?i)certificate"):
            await _deliver(server, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        await _deliver(server, url)
        assert len(server.mails) == 1
        assert {one.split()[0] for one in server.plain} == {"EHLO", "STARTTLS"}
        assert any(one.startswith("AUTH") for one in server.lines)
    async with smtp_server(tls=context, is_tls_at_once=True) as server:
        await _deliver(server, "smtps://localhost:PORT")
        assert len(server.mails) == 1


async def test_what_the_server_says_decides_whether_to_try_again() -> None:
    """No to this mail is final; a wrong password, a busy server or none at all is not."""
    url = "smtp://ann:hunter2@127.0.0.1:PORT"
    async with smtp_server(accepts=("ann", "other")) as server:
        with pytest.raises(Unavailable) as wrong:
            await _deliver(server, url)
        assert "hunter2" not in str(wrong.value)
    async with smtp_server(accepts=("ann", "hunter2")) as server:
        server.data_answers = ["554 5.6.0 spam", "452 4.3.1 full"]
        with pytest.raises(Refused, match="spam"):
            await _deliver(server, url)
        with pytest.raises(Unavailable, match="full"):
            await _deliver(server, url)
        server.answers["bob@example.com"] = "450 4.2.1 later"
        with pytest.raises(Unavailable, match="later"):
            await _deliver(server, url)
    with pytest.raises(Unavailable):
        await _deliver(server, url)  # it is gone
