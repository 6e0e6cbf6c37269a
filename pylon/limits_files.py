"""The bounds of files, as `limits` has those of everything else: what each is for, what gives way.

Units are the last word of a name. Those marked (setting) can be changed in `pylon.toml`.
"""

from __future__ import annotations

from typing import Final

from pylon import limits

#: One file, and all that a user has brought. Above: 413. (settings)
FILE_MB_MAX: Final = 100
FILE_QUOTA_MB: Final = 10_000
#: Read and written at once: what a transfer holds in memory, however long the file.
FILE_CHUNK_BYTES: Final = 256 * limits.KIB
#: Threads that read, write and hash. More transfers take turns.
FILE_THREADS: Final = 4
#: Written and not yet synced of one upload: what a commit may have to wait for on the disk.
FILE_SYNC_BYTES: Final = 4 * limits.MIB
#: Left free on the disk for the database. Below: uploads are 503 UNAVAILABLE, reason `disk_full`.
FILE_ROOM_BYTES: Final = 64 * limits.MIB
FILE_NAME_CHARACTERS_MAX: Final = 255
#: Between two pieces of an upload, and for a piece of a download to be taken. Above: it ends.
FILE_IDLE_SECONDS: Final = 30.0
FILE_STALL_SECONDS: Final = 60.0
#: During a long download it is asked again so often whether the caller may still read the file.
FILE_RECHECK_SECONDS: Final = 5.0
#: A file that no row came to own, and one that no row owns any more: removed after this.
FILE_FRESH_SECONDS: Final = 86_400.0
FILE_RELEASED_SECONDS: Final = 600.0
#: It is looked for such files, and for what broken uploads left, so often.
FILE_SWEEP_SECONDS: Final = 60.0
#: Bytes that the database does not know, from when they were first seen; looked for so often.
FILE_ORPHAN_SECONDS: Final = 3_600.0
#: Bytes that code reads of a file at once. Above: 413, read it in chunks.
FILE_READ_BYTES_MAX: Final = 64 * limits.MIB
#: Pictures by `?w=`: the widths; pixels of an original, and what making one may take. Above: 415.
IMAGE_WIDTHS: Final = (64, 128, 256, 512, 1024, 2048)
IMAGE_PIXELS_MAX: Final = 50_000_000
IMAGE_MEMORY_BYTES: Final = 768 * limits.MIB
IMAGE_CPU_SECONDS: Final = 10
IMAGE_SECONDS: Final = 30.0
#: Pictures made at once, and waiting of one caller. Above: 503 UNAVAILABLE, reason `busy`.
IMAGES_AT_ONCE: Final = 2
IMAGES_WAITING_MAX: Final = 50
#: An upload in pieces, from its last piece; and how many of one user. Above: 429.
UPLOAD_SECONDS: Final = 86_400.0
UPLOADS_PER_USER_MAX: Final = 100
#: Bytes of an upload in pieces that a crash of the machine or the runtime may cost.
UPLOAD_SYNC_BYTES: Final = 16 * limits.MIB
#: A piece that brings nothing for so long gives way to the next attempt at it.
UPLOAD_SILENT_SECONDS: Final = 2.0
