"""An S3 server on loopback whose port closes and opens again by a word on its standard input."""

import logging
import sys

from moto.server import ThreadedMotoServer

HOST = "127.0.0.1"


def serve() -> None:
    """Print the port, then obey ``stop`` and ``start``; the objects stay in memory."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(HOST, 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    print(port, flush=True)
    for line in sys.stdin:
        if line.strip() == "stop":
            server.stop()
        else:
            server = ThreadedMotoServer(HOST, port, verbose=False)
            server.start()
        print("done", flush=True)


if __name__ == "__main__":
    serve()
