"""A TCP proxy that fails on command: what a network does between Piper and a server (correctness §3.1).

One proxy stands between one client and one server, so that a single member can be cut off. Commands may
come at any time and hold for open and new connections:

* `hold()` passes nothing on in either direction, and closes nothing: a partition; `flow()` heals it, and
  what was under way arrives late;
* `reset()` breaks every open connection; `refuse()` does, and lets no new one through until `welcome()`;
* `cut_before(words)` breaks the connection when the client says `words`, which never arrive;
* `lose_reply_to(words)` lets `words` arrive and breaks the connection instead of the server's answer.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

_LINGER_NOT = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a free loopback port (`port`) and passes connections on to `target_port`."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._flowing = threading.Event()
        self._flowing.set()
        self._welcome = True
        self._cut_before = b""
        self._lose_reply_to = b""
        self._pairs: list[_Pair] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hold(self) -> None:
        """Pass nothing on until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        """Pass everything on."""
        self._flowing.set()

    def reset(self) -> None:
        """Break every open connection."""
        for pair in self._pairs:
            pair.reset()

    def refuse(self) -> None:
        """Break every connection, open and new, until `welcome`."""
        self._welcome = False
        self.reset()

    def welcome(self) -> None:
        """Let new connections through again."""
        self._welcome = True

    def cut_before(self, words: bytes) -> None:
        """Break a connection on which the client says `words`, before they arrive. Empty: no more."""
        self._cut_before = words

    def lose_reply_to(self, words: bytes) -> None:
        """Let `words` arrive, and break the connection instead of the answer. Empty: no more."""
        self._lose_reply_to = words

    def close(self) -> None:
        """Stop listening and break everything."""
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)  # ends the accept that waits in another thread
        self._listener.close()
        self.flow()
        self.reset()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _address = self._listener.accept()
                if not self._welcome:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._target_port))
                except OSError:
                    client.close()
                    continue
                pair = _Pair(client, server)
                self._pairs.append(pair)
                threading.Thread(target=self._pump_to_server, args=(pair,), daemon=True).start()
                threading.Thread(target=self._pump_to_client, args=(pair,), daemon=True).start()

    def _pump_to_server(self, pair: _Pair) -> None:
        with pair.until_broken():
            while words := pair.client.recv(65536):
                self._flowing.wait()
                if self._cut_before and self._cut_before in words:
                    return
                if self._lose_reply_to and self._lose_reply_to in words:
                    pair.reply_is_lost = True
                pair.server.sendall(words)

    def _pump_to_client(self, pair: _Pair) -> None:
        with pair.until_broken():
            while words := pair.server.recv(65536):
                self._flowing.wait()
                if pair.reply_is_lost:
                    return
                pair.client.sendall(words)


class _Pair:
    """One client's connection and the one that stands for it at the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.reply_is_lost = False

    @contextlib.contextmanager
    def until_broken(self) -> Iterator[None]:
        """The connection breaks in both directions when the block ends, for whatever reason."""
        with contextlib.suppress(OSError):
            yield
        self.reset()

    def reset(self) -> None:
        """Close both sides without a farewell."""
        for side in (self.client, self.server):
            with contextlib.suppress(OSError):
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
                side.shutdown(socket.SHUT_RDWR)
            side.close()
