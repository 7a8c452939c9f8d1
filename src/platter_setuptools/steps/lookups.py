"""Lookups: each host's name is resolved once, not for each of the connections to it.

A resolver may lose a question, the more so when many come at once: then all that waits for the answer waits long.
"""

from __future__ import annotations

import os
import socket
import threading
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from platter_setuptools.ground.run import LOOKUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

os.environ.setdefault("RES_OPTIONS", LOOKUPS)


class _Book:
    """The addresses of hosts; one thread at a time looks one up."""

    def __init__(self) -> None:
        self._known: dict[str, Sequence[str]] = {}
        self._lock = threading.Lock()

    def addresses(self, host: str) -> Sequence[str]:
        """At least one; the host itself where its name cannot be resolved, for that is told by who tries again."""
        with self._lock:
            if host not in self._known:
                try:
                    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                except OSError:
                    return (host,)
                self._known[host] = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
            return self._known[host]

    def forget(self, host: str) -> None:
        with self._lock:
            self._known.pop(host, None)


_book = _Book()


class _KnowsAddresses(HTTPConnection):
    """Connects to the first of the host's addresses that answers; certificates are compared with its name as ever."""

    def _new_conn(self) -> socket.socket:
        host: str = self._dns_host
        *others, last = _book.addresses(host)
        try:
            for address in others:
                self._dns_host = address
                try:
                    return super()._new_conn()
                except HTTPError:  # the next may answer
                    continue
            self._dns_host = last
            return super()._new_conn()
        except HTTPError:
            _book.forget(host)
            raise
        finally:
            self._dns_host = host


class _HTTPSConnection(_KnowsAddresses, HTTPSConnection):
    pass


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _KnowsAddresses


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class Adapter(HTTPAdapter):
    """requests' own, whose connections know the addresses of their hosts."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _HTTPPool, "https": _HTTPSPool}
