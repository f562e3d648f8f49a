"""Leases: of several processes at the same work, one has each object, for as long as it lives.

A lease is a small object beside the checkpoint, written under the condition that none was faster, and written again
every few seconds. Nobody's clock has to be right: whoever sees a lease unchanged for `LEASE_SECONDS` of its own takes
it over. One whose process has ended on this machine is taken over at once. Leases save work; what is imported by two
all the same is one event in Mixpanel.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec import Struct

from importer.errors import StorageError
from importer.storage.paths import state_folder
from importer.storage.store import Store

LEASE_SECONDS = 60.0
"""For which a lease holds that is not written again."""


class Owner(Struct, frozen=True):
    """Who has a lease.

    Attributes:
        key: this process and no other.
        host: the machine, where its processes can be told by their ids; "" where they cannot.
        pid: the process's id there.
        born: when it began, as the machine says, so that a later process of the same id is not taken for it.
    """

    key: str
    host: str
    pid: int
    born: str

    @classmethod
    def here(cls) -> Owner:
        """This process."""
        is_anybodys = any(name in os.environ for name in ("CLOUD_RUN_JOB", "K_SERVICE"))
        host = "" if is_anybodys else _host()
        return cls(secrets.token_hex(8), host, os.getpid(), _born(os.getpid()))

    def has_ended(self) -> bool:
        """Whether it is known that this process has ended."""
        if not self.host or self.host != Owner.here().host:
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return _born(self.pid) != self.born


class _Lease(Struct, frozen=True):
    owner: Owner
    beat: int


class Leases:
    """The leases of this process. Safe to use from several threads; leaving its block gives back all of them.

    Args:
        store: where they are kept.
        place: `IMPORT_CHECKPOINTS`.
        owner: this process.
        hold: seconds for which one holds that is not written again.
    """

    def __init__(
        self,
        store: Store,
        place: str,
        owner: Owner | None = None,
        hold: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._place = place
        self._owner = owner or Owner.here()
        self._hold = hold
        self._clock = clock
        self._held: dict[str, str] = {}  # address -> version
        self._seen: dict[str, tuple[str, float]] = {}  # of others: address -> version, and when it was first seen
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._beats = 0
        self._thread = threading.Thread(target=self._beat, name="leases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()
        for address in tuple(self._held):
            with contextlib.suppress(StorageError):
                self._store.delete(address)

    def take(self, source: str) -> bool:
        """Takes the lease of a source, if nobody else has it.

        Raises:
            StorageError: it is not known who has it.
        """
        address = self._address(source)
        version = self._store.write_version(address, self._content(), None)
        if version is None:
            version = self._take_over(address)
        if version is None:
            return False
        with self._lock:
            self._held[address] = version
        return True

    def give_back(self, source: str) -> None:
        """Ends a lease. Where that fails, it ends by itself."""
        address = self._address(source)
        with self._lock:
            is_held = self._held.pop(address, None) is not None
        if is_held:
            with contextlib.suppress(StorageError):
                self._store.delete(address)

    def _address(self, source: str) -> str:
        return f"{state_folder(self._place, source)}/lease.json"

    def _content(self) -> bytes:
        self._beats += 1
        return msgspec.json.encode(_Lease(self._owner, self._beats))

    def _take_over(self, address: str) -> str | None:
        """Takes the lease of somebody who has ended, or is not heard of any more."""
        found = self._store.read_version(address)
        if found is None:  # given back just now
            return self._store.write_version(address, self._content(), None)
        content, version = found
        try:
            owner = msgspec.json.decode(content, type=_Lease).owner
        except msgspec.MsgspecError:
            owner = Owner("", "", 0, "")
        if owner.key == self._owner.key:  # written by a try whose answer was lost
            return version
        seen, since = self._seen.setdefault(address, (version, self._clock()))
        if seen != version:
            self._seen[address] = version, self._clock()
            since = self._clock()
        if self._clock() - since < self._hold and not owner.has_ended():
            return None
        return self._store.write_version(address, self._content(), version)

    def _beat(self) -> None:
        while not self._ended.wait(self._hold / 4):
            for address, version in tuple(self._held.items()):
                self._renew(address, version)

    def _renew(self, address: str, version: str) -> None:
        with self._lock:  # so that it is not written again once it was given back
            if self._held.get(address) != version:
                return
            try:
                found = self._store.write_version(address, self._content(), version)
            except StorageError:
                return
            if found is None:  # somebody took us for dead: the work goes on, and is safe to be done twice
                del self._held[address]
            else:
                self._held[address] = found


def _host() -> str:
    """This machine and start of it; and, in a container, the container."""
    parts = [socket.gethostname()]
    with contextlib.suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with contextlib.suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks; "" where that is not told."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
