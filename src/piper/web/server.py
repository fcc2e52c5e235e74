"""The web server as a part of a process: listens, serves the application in a thread, stops in order."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
from pathlib import Path

import anyio
import anyio.to_thread
import uvicorn
from fastapi import FastAPI

from piper.model.errors import InvalidSetting, SystemFault
from piper.settings import Settings
from piper.web.connections import Connection

log = logging.getLogger(__name__)

_START_SECONDS = 15.0
_STOP_SECONDS = 3
_QUEUED = 2048
"""Connections that the kernel keeps for us."""
_ACCEPTED_AT_ONCE = 16
"""For asyncio, the backlog is also how many it accepts before anybody may count them: `piper.web.connections` must."""


class WebServer:
    """Serves one application. Started and stopped once.

    Arguments:
        settings: where to listen; `web.port` 0 takes a free port.
    """

    name = "web"

    def __init__(self, app: FastAPI, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self.address = ""
        """`http://host:port`, once started."""
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()

    def start(self) -> None:
        """Listen, begin to serve, and write `PIPER_HOME/address`, by which the command line finds us.

        Raises:
            InvalidSetting: the address cannot be listened on.
            SystemFault: it did not come up.
        """
        web = self.settings.web
        sock = listen(web.host, web.port)
        port = sock.getsockname()[1]
        self.address = f"http://{reachable(web.host)}:{port}"
        config = uvicorn.Config(
            self.app,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_graceful_shutdown=_STOP_SECONDS,
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=64 << 10,
            lifespan="off",
            ws="none",
            http=Connection,
            backlog=_ACCEPTED_AT_ONCE,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, args=(sock,), name=self.name, daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_SECONDS) or not self.running:
            raise SystemFault(f"the web server did not come up at {self.address}: see the log")
        _write_address(self.settings.address_file, self.address)

    def stop(self) -> None:
        """End the streams, finish what is being answered, and close. Does nothing if it is not running."""
        if self._server is None or self._thread is None:
            return
        _remove_address(self.settings.address_file, self.address)
        self.app.state.streams.close()
        self._server.should_exit = True
        self._thread.join(_STOP_SECONDS + 2)
        if self._thread.is_alive():
            log.warning("the web server did not stop within %s s", _STOP_SECONDS + 2)

    @property
    def running(self) -> bool:
        """Whether its thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def _serve(self, sock: socket.socket) -> None:
        server = self._server
        assert server is not None

        async def serve() -> None:
            # More threads than connections would only wait for one, each with a stack of its own.
            anyio.to_thread.current_default_thread_limiter().total_tokens = 2 * self.settings.database.pool_size
            serving = asyncio.ensure_future(server.serve(sockets=[sock]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.005)  # uvicorn says nowhere else that it listens
            sock.listen(_QUEUED)  # uvicorn has made it shorter
            self._ready.set()
            await serving

        try:
            asyncio.run(serve())
        except Exception:
            log.exception("the web server failed")
        finally:
            self._ready.set()
            sock.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises InvalidSetting when that cannot be."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named since asyncio switches Nagle's algorithm off only where it is: replies would wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(_QUEUED)
    except OSError as error:
        sock.close()
        raise InvalidSetting(
            f"cannot listen on {host}:{port} ({error.strerror}): another program may use it;"
            " choose another web.port or web.host"
        ) from error
    return sock


def reachable(host: str) -> str:
    """The name under which a program on this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104, it is replaced here
    return f"[{host}]" if ":" in host else host


def _write_address(path: Path, address: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(address + "\n")
    os.replace(temporary, path)


def _remove_address(path: Path, address: str) -> None:
    try:
        if path.read_text().strip() == address:
            path.unlink()
    except FileNotFoundError:
        pass
