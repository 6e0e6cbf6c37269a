"""Where things lie that belong to the user and not to a project, all owner-only.

Projects, run-time tokens, sockets, logs and lineage witnesses live where platformdirs says;
`PYLON_STATE_DIR` puts them elsewhere, for tests. A project is known by a key: the hash of its
folder's path.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from pylon.errors import PylonError

_SOCKET_PATH_MAX = 100


class StateFolderError(PylonError):
    """The user's state folder cannot be used."""

    code = "STATE_FOLDER"


def state_dir() -> Path:
    """Return the user's state folder, created 0700."""
    given = os.environ.get("PYLON_STATE_DIR")
    return _private(Path(given) if given else Path(platformdirs.user_state_dir("pylon")))


def _private(folder: Path) -> Path:
    """Create a folder 0700 whatever the umask, and those of ours above it."""
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StateFolderError(
            f"the folder {folder} cannot be made: {error.strerror}",
            hint="set PYLON_STATE_DIR to a folder of yours that can be written to",
        ) from error
    return folder


def project_key(project: Path) -> str:
    """Return the key of a project: 16 hexadecimal digits of its path's hash."""
    return hashlib.sha256(str(project.resolve()).encode()).hexdigest()[:16]


def runtime_dir(project: Path) -> Path:
    """Return the folder of a project's running runtime, created 0700."""
    return _private(_private(state_dir() / "run") / project_key(project))


def admin_socket_path(project: Path) -> Path | None:
    """Return the path of the admin socket; None where there are no Unix sockets or no room."""
    path = runtime_dir(project) / "admin.sock"
    if sys.platform == "win32" or len(str(path)) > _SOCKET_PATH_MAX:
        return None
    return path


def admin_token_path(project: Path) -> Path:
    """Return the file with the run-time token, for admin requests over TCP."""
    return runtime_dir(project) / "token"


def runtime_file(project: Path) -> Path:
    """Return the file that says which process runs, where it listens, and since when."""
    return runtime_dir(project) / "runtime.json"


def supervisor_file(project: Path) -> Path:
    """Return the file that says which process supervises the project, and how that goes."""
    return runtime_dir(project) / "supervisor.json"


def supervisor_lock(project: Path) -> Path:
    """Return the file that a project's one supervisor holds locked for its life."""
    return runtime_dir(project) / "supervisor.lock"


def supervisor_socket_path(project: Path) -> Path | None:
    """Return the path of the supervisor's own socket; None where there can be none."""
    beside = admin_socket_path(project)
    return None if beside is None else beside.with_name("sup.sock")


def stacks_path(project: Path) -> Path:
    """Return the file into which a runtime dumps its stacks on request."""
    return runtime_dir(project) / "stacks.log"


def runtime_log_path(project: Path) -> Path:
    """Return the runtime's log file."""
    return runtime_dir(project) / "runtime.log"


def witness_dir() -> Path:
    """Return the folder of lineage witnesses."""
    return _private(state_dir() / "lineage")


def projects_file() -> Path:
    """Return the list of the user's projects."""
    return state_dir() / "projects.json"


def ports_file() -> Path:
    """Return the ports that the user's projects have."""
    return state_dir() / "ports.json"


def preferences_file() -> Path:
    """Return what the user prefers in the dashboard."""
    return state_dir() / "preferences.json"


def desktop_file() -> Path:
    """Return what says which files a launcher entry was installed as."""
    return state_dir() / "desktop.json"


def keys_file() -> Path:
    """Return where the user binds keys otherwise; it need not exist."""
    given = os.environ.get("PYLON_STATE_DIR")
    return Path(given or platformdirs.user_config_dir("pylon")) / "keys.toml"


def write_private(path: Path, data: bytes) -> None:
    """Replace a file whole, readable by its owner only."""
    beside = path.with_name(f"{path.name}.new")
    descriptor = os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    beside.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock beside a file while the user's other processes wait for it."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        take_lock(descriptor, waits=True)
        yield
    finally:
        os.close(descriptor)


def take_lock(descriptor: int, *, waits: bool) -> bool:
    """Lock an open file for as long as it is open here; False where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows: lock the first byte instead
        import msvcrt

        mode = msvcrt.LK_LOCK if waits else msvcrt.LK_NBLCK  # type: ignore[attr-defined]
        try:
            msvcrt.locking(descriptor, mode, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Have what was created or renamed in a folder survive a loss of power, where that exists."""
    if sys.platform == "win32":
        return  # a folder can't be opened there
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
