"""A server on loopback that can be unplugged."""

from __future__ import annotations

import socket
import socketserver
import threading


class Plug:
    """Serves 127.0.0.1:`port` (0: any free one) by `handler`, a thread for each connection, until `close`."""

    def __init__(self, handler: type[socketserver.BaseRequestHandler], *, port: int = 0) -> None:
        self.pulled = threading.Event()
        """Handlers end when it is set."""
        connections = self._connections = list[socket.socket]()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

            def process_request(self, request: socket.socket, client_address: object) -> None:
                connections.append(request)
                super().process_request(request, client_address)

        self._server = Server(("127.0.0.1", port), handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """As when its plug is pulled: connections end, nobody listens."""
        self.pulled.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has gone already
        self._thread.join()
