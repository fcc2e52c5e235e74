"""`python -I -m piper.serializer.child FD`."""

import socket
import sys

from piper.serializer.child.host import Host

Host(socket.socket(fileno=int(sys.argv[1]))).run()
