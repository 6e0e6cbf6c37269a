"""What handlers work with: one object, built by the assembly."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pylon.server.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable

    from pylon.clock import Clock
    from pylon.ids import IdSource
    from pylon.server.auth.accounts import AccountService
    from pylon.server.auth.codes import CodeService
    from pylon.server.auth.oauth.client import ProviderClient
    from pylon.server.auth.own_data import OwnData
    from pylon.server.auth.passwords import PasswordService
    from pylon.server.auth.people import People
    from pylon.server.auth.rates import RateLimiter
    from pylon.server.auth.second_factor import SecondFactor
    from pylon.server.auth.sessions import SessionService
    from pylon.server.auth.sign_in import SignIn
    from pylon.server.backups.keeper import BackupKeeper
    from pylon.server.backups.restoring import Prepared
    from pylon.server.branching import Branching
    from pylon.server.config import ServerConfig
    from pylon.server.erasing import Eraser
    from pylon.server.functions.definitions import DefinitionHolder
    from pylon.server.functions.executor import Executor
    from pylon.server.functions.file_service import FileService
    from pylon.server.functions.policy_coverage import PolicyCoverage
    from pylon.server.functions.policy_matrix import PolicyMatrix
    from pylon.server.functions.reads import Reads
    from pylon.server.http.connections import PatientServer
    from pylon.server.http.peers import Network
    from pylon.server.http.web_server import WebServerPages
    from pylon.server.jobs.worker import Worker
    from pylon.server.mail.mailer import Mailer
    from pylon.server.mail.preview import MailPreviews
    from pylon.server.observe import Observer
    from pylon.server.presence import Presence
    from pylon.server.storage.database import Database
    from pylon.server.storage.trimming import Trimmer
    from pylon.server.sync.hub import Hub
    from pylon.server.sync.switchboard import Switchboard
    from pylon.server.warp import Warp
    from pylon.server.workflows.engine import Engine


@dataclass(slots=True, kw_only=True)
class Services:
    """Every service of a runtime."""

    config: ServerConfig
    clock: Clock
    ids: IdSource
    database: Database
    trimmer: Trimmer
    definitions: DefinitionHolder
    executor: Executor
    reads: Reads
    policies: PolicyMatrix
    branches: Branching
    #: Counts branches of policies; None where nobody asked for it.
    coverage: PolicyCoverage | None
    accounts: AccountService
    sessions: SessionService
    sign_in: SignIn
    passwords: PasswordService
    second_factor: SecondFactor
    own_data: OwnData
    codes: CodeService
    oauth: ProviderClient
    people: People
    files: FileService
    backups: BackupKeeper
    eraser: Eraser
    mailer: Mailer
    worker: Worker
    workflows: Engine
    observer: Observer
    hub: Hub
    sign_in_rates: RateLimiter
    #: Every auth route but the development login.
    auth_rates: RateLimiter
    #: Codes sent, per address that asks.
    code_rates: RateLimiter
    #: Accounts that one network makes without an address proven.
    new_account_rates: RateLimiter
    data_rates: RateLimiter | None
    admin_tokens: tuple[str, ...]
    #: Requests under way, and since when there was none.
    presence: Presence
    #: Reloads the app; answers what the admin API answers.
    reload: Any
    #: Asks the runtime to stop.
    stop: Any
    #: Networks of the proxies that are ours.
    proxies: tuple[Network, ...] = ()
    known_hosts: frozenset[str] = frozenset()
    known_origins: frozenset[str] = frozenset()
    bound_port: int = 0
    started_ms: int = 0
    #: Open pages of `pylon dev` that load again on request.
    page_listeners: set[Any] = field(default_factory=set)
    loop_lag_ms: float = 0.0
    #: The figures of the last minutes.
    vitals: Vitals = field(default_factory=Vitals)
    #: What counts connections, for each door.
    servers: list[PatientServer] = field(default_factory=list)
    is_stopping: bool = False
    #: Additive changes of the schema are applied at a start.
    may_migrate: bool = True
    #: Has the runtime stop and go on with a backup that was prepared; None where it can't.
    go_on_with: Callable[[Prepared], None] | None = None
    #: How clients' networks behave; None outside development (I73).
    switchboard: Switchboard | None = None
    #: Asks the project's own web server for pages; None where there is none.
    web_server: WebServerPages | None = None
    #: Moves the clock; None outside development (I73).
    warp: Warp | None = None
    #: Shows mail templates; None outside development (I73).
    mail_previews: MailPreviews | None = None
