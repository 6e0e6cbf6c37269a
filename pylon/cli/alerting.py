"""Telling somebody: alerts of an app by mail and webhook, sent by who supervises it."""

from __future__ import annotations

import asyncio
import shutil
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import aiohttp

from pylon import jsonvalue, limits_keeping, paths
from pylon.cli.output import say
from pylon.clock import Clock, iso_ms
from pylon.errors import InvalidJson, PylonError
from pylon.server.config import ServerConfig
from pylon.server.functions.outgoing import open_session
from pylon.server.mail.message import build_message, checked_mail, parse_sender
from pylon.server.mail.smtp import SmtpTransport, parse_url
from pylon.supervisor.alerts import Alert, AlertBook, troubles_of
from pylon.supervisor.lifecycle import ProcessState
from pylon.supervisor.supervisor import Supervisor, SupervisorEvent

_LOOK_SECONDS: Final = 5.0
_TRIES: Final = 3
_AGAIN_SECONDS: Final = 20.0
_CRASH_SECONDS: Final = 600.0
_ANSWER_BYTES: Final = 65_536


class AlertFailed(PylonError):
    """An alert could not be sent."""

    code = "ALERT_FAILED"


class Sender:
    """The ways out of one app's alerts."""

    def __init__(self, config: ServerConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self.to: list[str] = list(config["alerts.mail"])
        self._webhook: str = config["alerts.webhook"]

    @property
    def ways(self) -> list[str]:
        """Return where alerts go, in words without a secret."""
        return [*(f"mail to {one}" for one in self.to), *(["webhook"] if self._webhook else [])]

    async def send(self, alert: Alert) -> None:
        """Send an alert every way there is; raises AlertFailed naming those that did not work."""
        failed = await self.tried(alert, self.ways)
        if failed:
            raise AlertFailed(_words(failed))

    async def tried(self, alert: Alert, ways: Iterable[str]) -> dict[str, str]:
        """Send an alert these ways; returns those that did not work, each with why."""
        known = {f"mail to {one}": partial(self._mail, alert, one) for one in self.to}
        known["webhook"] = partial(self._post, alert)
        tried = {name: await self._tried(known[name]) for name in ways}
        return {name: why for name, why in tried.items() if why}

    async def _tried(self, way: Callable[[], Awaitable[None]]) -> str:
        try:
            async with asyncio.timeout(limits_keeping.ALERT_SECONDS):
                await way()
        except PylonError as error:
            return error.message
        except TimeoutError:
            return "it took too long"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # What the library says may have the address, which is a secret: its kind is enough.
            cause = getattr(error, "os_error", error)
            if isinstance(cause, PermissionError) and not self._config["alerts.allow_private"]:
                return (
                    "its address is not a public one; if it is meant: [alerts] allow_private = true"
                )
            return getattr(cause, "strerror", None) or type(error).__name__
        return ""

    async def _mail(self, alert: Alert, to: str) -> None:
        url = self._config["mail.url"]
        if not url:
            raise AlertFailed("there is no mail.url")
        sender = parse_sender(self._config["mail.from"])
        now_ms = self._clock.machine_ms()
        mail = checked_mail(to, alert.subject[:200], alert.text)
        message = build_message(mail, sender, f"alert-{alert.kind}-{now_ms}", now_ms)
        await SmtpTransport(parse_url(url), sender).deliver(message, to)

    async def _post(self, alert: Alert) -> None:
        body = {
            "app": self._config.project.name, "host": socket.gethostname(), "kind": alert.kind,
            "state": alert.state, "subject": alert.subject,
            # What Slack and what Discord show.
            "text": f"{alert.subject}\n{alert.text}", "content": f"{alert.subject}\n{alert.text}",
            "at": iso_ms(self._clock.machine_ms()),
        }  # fmt: skip
        may_reach_all = self._config["alerts.allow_private"]
        session = aiohttp.ClientSession() if may_reach_all else open_session()
        async with session, session.post(
            self._webhook, data=jsonvalue.encode(body), allow_redirects=False,
            headers={"Content-Type": "application/json"},
        ) as answer:  # fmt: skip
            await answer.content.read(_ANSWER_BYTES)
            if answer.status >= 300:
                raise AlertFailed(f"it answered {answer.status}")


class Alerter:
    """Watches one supervised app, and tells."""

    def __init__(self, supervisor: Supervisor, config: ServerConfig, clock: Clock) -> None:
        self._supervisor = supervisor
        self._config = config
        self._clock = clock
        self._sender = Sender(config, clock)
        self._book = AlertBook(supervisor.project.name)
        self._path = paths.runtime_dir(supervisor.project) / "alerts.json"
        self._crashes: deque[float] = deque(maxlen=1_000)
        #: Alerts, each with the ways that it has not gone, tries left, and when to try again.
        self._waiting: deque[tuple[Alert, list[str], int, float]] = deque(maxlen=50)
        with suppress(OSError, InvalidJson, KeyError, TypeError, ValueError):
            self._book.load(jsonvalue.parse(self._path.read_bytes()))
        supervisor.listen(self._take)

    def _take(self, event: SupervisorEvent) -> None:
        if event.kind == "state" and event.state is ProcessState.BACKING_OFF:
            self._crashes.append(self._clock.monotonic())

    async def run(self) -> None:
        """Look and tell until cancelled."""
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            await self.step()

    async def step(self) -> None:
        """Tell what is to be told now, and try again what did not leave."""
        now = self._clock.monotonic()
        while self._crashes and now - self._crashes[0] > _CRASH_SECONDS:
            self._crashes.popleft()
        free, total = self._room()
        is_failed = self._supervisor.state is ProcessState.FAILED
        troubles = troubles_of(
            crashes=len(self._crashes), crashes_told=self._config["alerts.restarts"],
            failed=(self._supervisor.lifecycle.why or "see its log") if is_failed else "",
            backup=self._supervisor.status.get("backup"), disk_free=free, disk_total=total,
            disk_percent=self._config["alerts.disk_percent"],
        )  # fmt: skip
        alerts = self._book.step(troubles, self._clock.machine_ms())
        if alerts:
            self._remember()
        self._waiting.extend((one, self._sender.ways, _TRIES, now) for one in alerts)
        for _ in range(len(self._waiting)):
            alert, ways, tries, due = self._waiting.popleft()
            if due > now and not is_failed:
                self._waiting.append((alert, ways, tries, due))
                continue
            failed = await self._sender.tried(alert, ways)
            if told := [one for one in ways if one not in failed]:
                say(f"pylon: told {', '.join(told)}: {alert.subject}")
            if failed:
                say(f"pylon: an alert was not sent: {_words(failed)}")
                if tries > 1:  # not once more to those that have heard it
                    self._waiting.append((alert, list(failed), tries - 1, now + _AGAIN_SECONDS))

    def _room(self) -> tuple[int | None, int]:
        """Return the bytes that are free on the project's disk, None if unknown, and all of it."""
        try:
            disk = shutil.disk_usage(self._supervisor.project)
        except OSError:  # it is not mounted any more, say: there are other things to tell
            return None, 0
        return disk.free, disk.total

    def _remember(self) -> None:
        """Write down what was told; a full disk, which is told as well, only forgets it."""
        try:
            paths.write_private(self._path, jsonvalue.encode(self._book.to_json()))
        except OSError as error:
            say(f"pylon: {self._path}: {error.strerror}; a restart may tell the same again")


def _words(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {why}" for name, why in failed.items())
