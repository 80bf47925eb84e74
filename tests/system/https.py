"""A small HTTPS server of a customer's, on loopback, whose answers a test chooses."""

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Request(NamedTuple):
    method: str
    path: str
    headers: dict
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server.owner
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.requests.append(Request(self.command, self.path, dict(self.headers), body))
        answer = server.answers.get(self.path, (404, b"not here\n"))
        if callable(answer):
            answer = answer()
        status, content, *headers = answer
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_):
        pass


class Https:
    """
    `answers`: by path, (status, body, *headers) or a function that returns such. With a folder that
    has cert.pem and key.pem it speaks TLS.
    """

    def __init__(self, folder=None, address="127.0.0.1"):
        self.answers = {}
        self.requests: list[Request] = []
        self.server = ThreadingHTTPServer((address, 0), Handler)
        self.server.daemon_threads = True
        self.server.owner = self
        self.server.handle_error = lambda *_: None
        self.port = self.server.server_address[1]
        if folder is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
            # In the thread of the connection, so that a client that says nothing holds up nobody.
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def count(self, path):
        return sum(request.path == path for request in self.requests)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def slow(seconds, answer):
    def wait():
        time.sleep(seconds)
        return answer
    return wait
