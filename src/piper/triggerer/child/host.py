"""The loop: takes orders from the service, runs triggers, says what becomes of them."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import sys
import threading

import msgspec

from piper.model.events import TriggerFired
from piper.model.frames import FrameBuffer, FrameTooLong, framed
from piper.model.run import Identity
from piper.model.wire import Report
from piper.sdk.execution.current import answer_outside_of_tasks
from piper.triggerer.child.channel import TriggerChannel, plain
from piper.triggerer.child.classes import TriggerClasses
from piper.triggerer.child.output import take_output
from piper.triggerer.child.running import FAREWELL_SECONDS, Running
from piper.triggerer.child.stepping import current, use_stepped_tasks
from piper.triggerer.protocol import (
    MAX_LOG,
    Answered,
    Begin,
    End,
    Fired,
    FromChild,
    Marks,
    Order,
    Over,
    Said,
    ToChild,
    decode_to_child,
)

BEAT_SECONDS = 0.5
FLUSH_SECONDS = 0.1
"""How long log lines gather before they are sent."""

_READ_BYTES = 256 << 10

_encode = msgspec.msgpack.Encoder(enc_hook=plain).encode


class Host:
    """All triggers of this process."""

    def __init__(self, order: Order, control: socket.socket, marks: Marks) -> None:
        self._order = order
        self._control = control
        self._marks = marks
        self._frames = FrameBuffer()
        self._unsent = bytearray()
        self._running: dict[Identity, tuple[Running, asyncio.Task[None]]] = {}
        self._lines: dict[Identity, bytearray] = {}
        self._lines_size = 0
        self._gathering = threading.Lock()
        self._flush_planned = False
        self._writing = False
        self._over = asyncio.Event()

    async def serve(self) -> None:
        """Run triggers until the service is gone, then clean up."""
        self._loop = loop = asyncio.get_running_loop()
        use_stepped_tasks(loop, self._marks)
        self._control.setblocking(False)
        self._channel = TriggerChannel(self._send, self._wait_and_receive)
        answer_outside_of_tasks(self._channel)
        self._classes = TriggerClasses(self._order.root)
        take_output()
        loop.add_reader(self._control, self._receive)
        self._beat()
        await self._over.wait()
        await self._end_all()

    def _beat(self) -> None:
        self._marks.beat()
        self._loop.call_later(BEAT_SECONDS, self._beat)

    # --- orders ------------------------------------------------------------------------------------

    def _receive(self) -> None:
        try:
            data = self._control.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._gone()
            return
        for frame in self._frames.feed(data):
            self._obey(decode_to_child(frame))

    def _wait_and_receive(self) -> None:
        """For a question that is asked on the loop, and must be answered before the loop goes on."""
        events = select.POLLIN | (select.POLLOUT if self._unsent else 0)
        poll = select.poll()
        poll.register(self._control, events)
        for _, ready in poll.poll():
            if ready & select.POLLOUT:
                self._write()
            if ready & ~select.POLLOUT:
                self._receive()

    def _obey(self, message: ToChild) -> None:
        match message:
            case Begin():
                for wait in message.waits:
                    self._begin(Running(wait, self._classes.find, self._say, self._report))
            case End():
                for identity in message.identities:
                    found = self._running.get(identity)
                    if found is None:
                        self._send(Over(identity))
                    else:
                        found[0].killed = message.killed
                        _end(*found)
            case Answered():
                self._channel.answered(message.answer)

    def _begin(self, running: Running) -> None:
        if running.identity in self._running:
            return
        token = current.set(running)
        try:
            task = self._loop.create_task(running.run())
        finally:
            current.reset(token)
        self._running[running.identity] = (running, task)
        task.add_done_callback(lambda _: self._ended(running.identity))

    def _ended(self, identity: Identity) -> None:
        del self._running[identity]
        self._flush()
        self._send(Over(identity))

    def _gone(self) -> None:
        """The service has closed the socket."""
        self._loop.remove_reader(self._control)
        self._channel.gone()
        self._over.set()

    async def _end_all(self) -> None:
        tasks = [task for _, task in self._running.values()]
        for running, task in self._running.values():
            _end(running, task)
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL_SECONDS)
        sys.stderr.flush()
        os._exit(0)  # threads that triggers have left running do not hold it up

    # --- what is said ------------------------------------------------------------------------------

    def _report(self, report: Report) -> None:
        self._flush()  # its lines come first: the next to write to that log is a worker
        try:
            self._send(Fired(report))
        except FrameTooLong as error:
            text = f"what the trigger leaves behind is too large: {error}"
            self._send(Fired(Report(TriggerFired(report.event.identity, error=text), error=text)))

    def _say(self, identity: Identity, data: bytes) -> None:
        """Keep lines for a moment. May be called by any thread that a trigger has started."""
        with self._gathering:
            if self._lines_size > MAX_LOG:
                return  # the service is behind, and memory is for everybody
            self._lines.setdefault(identity, bytearray()).extend(data)
            self._lines_size += len(data)
            plan, self._flush_planned = not self._flush_planned, True
        if plan:
            self._loop.call_soon_threadsafe(self._loop.call_later, FLUSH_SECONDS, self._flush)

    def _flush(self) -> None:
        if len(self._unsent) > MAX_LOG:
            self._loop.call_later(FLUSH_SECONDS, self._flush)
            return
        with self._gathering:
            lines, self._lines, self._lines_size = self._lines, {}, 0
            self._flush_planned = False
        for identity, data in lines.items():
            self._send(Said(identity, bytes(data)))

    def _send(self, message: FromChild) -> None:
        self._unsent += framed(_encode(message))
        self._write()

    def _write(self) -> None:
        try:
            sent = self._control.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            sent = len(self._unsent)  # the service is gone, which reading tells
        del self._unsent[:sent]
        if bool(self._unsent) != self._writing:
            self._writing = bool(self._unsent)
            if self._writing:
                self._loop.add_writer(self._control, self._write)
            else:
                self._loop.remove_writer(self._control)


def _end(running: Running, task: asyncio.Task[None]) -> None:
    """Have a trigger end and clean up. One that has fired is about to do so by itself."""
    if not running.told_to_end and not running.reported:
        running.told_to_end = True
        task.cancel()
