"""A supervisor for tests: `python fake_worker.py FD NAME`. It starts what it is sent and reports as it is told.

What becomes of an execution is said by the file of its code reference: `succeed` reports success, `hold` pushes the
XCom "held" and runs for ever, `die` ends this process at once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from itertools import count

import msgspec

from piper.model import wire
from piper.model.events import Lost, Succeeded
from piper.model.frames import FrameBuffer, framed
from piper.model.wire import Call, Reply

decode = msgspec.msgpack.Decoder(wire.Dispatch | wire.Cancel | list[Reply]).decode


def main() -> None:
    stream = socket.socket(fileno=int(sys.argv[1]))
    stream.setblocking(True)
    name = sys.argv[2]
    numbers = count(1)
    frames = FrameBuffer()
    dispatched: dict[int, wire.Dispatch] = {}
    held: dict[wire.Identity, wire.Dispatch] = {}

    def send(*calls: Call) -> None:
        stream.sendall(framed(msgspec.msgpack.encode(calls)))

    def report_losses(*_: object) -> None:
        send(*(Call(next(numbers), i, d.token, wire.Report(Lost(i, "stopped"))) for i, d in held.items()))
        stream.shutdown(socket.SHUT_WR)

    signal.signal(signal.SIGTERM, report_losses)
    send(Call(next(numbers), None, "", wire.Heartbeat(name, ())))
    while data := stream.recv(1 << 16):
        for body in frames.feed(data):
            message = decode(body)
            if isinstance(message, wire.Dispatch):
                number = next(numbers)
                dispatched[number] = message
                send(Call(number, message.identity, message.token, wire.Start(f"{name}-{number}", name)))
            elif isinstance(message, wire.Cancel):
                held.pop(message.identity, None)
            else:
                for reply in message:
                    dispatch = dispatched.pop(reply.id, None)
                    if dispatch is None or reply.problem is not None:
                        continue
                    if dispatch.code.file == "die":
                        os._exit(3)
                    held[dispatch.identity] = dispatch
                    if dispatch.code.file == "hold":
                        push = wire.PushXCom(wire.XComPush("held", b"true"))
                        send(Call(next(numbers), dispatch.identity, dispatch.token, push))
                    if dispatch.code.file == "succeed":
                        report = wire.Report(Succeeded(dispatch.identity))
                        send(Call(next(numbers), dispatch.identity, dispatch.token, report))
                        del held[dispatch.identity]


if __name__ == "__main__":
    main()
