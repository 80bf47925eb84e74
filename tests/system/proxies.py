"""HAProxy and nginx between a client and pop3d, with configurations of a test's own, on loopback."""

import signal
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from bellhop import STOP_TIME, port_is_free, wait_until
from wire import Wire

# What HAProxy connects from, so that it can be listed and the tests' own connections are not.
PROXY = "127.0.0.2"

HAPROXY = """
defaults
    mode tcp
    timeout connect 30s
    timeout client 60s
    timeout server 60s
listen mail
    bind 127.0.0.1:{port} accept-proxy {bind}
    server bellhop 127.0.0.1:{to} source {proxy} {options}
"""

NGINX = """
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events {{}}
mail {{
    auth_http 127.0.0.1:{auth}/;
    proxy_protocol on;
    proxy_pass_error_message on;
    set_real_ip_from 127.0.0.1;
    server {{
        listen 127.0.0.1:{port} ssl proxy_protocol;
        protocol pop3;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
    }}
}}
"""


def free_port(instance):
    """Near the instance's own ports: below those that the kernel gives to connections."""
    return next(port for port in range(instance.base + 200, instance.base + 900) if port_is_free(port))


class Proxy:
    """A proxy that runs in the foreground until the end of the `with`."""

    def __init__(self, instance, folder, command, configuration, **values):
        self.port = free_port(instance)
        self.folder = folder
        self.command = command
        (folder / "proxy.conf").write_text(configuration.format(port=self.port, **values))

    def __enter__(self):
        log = self.folder / "proxy.log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(self.command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                            stdout=file, stderr=file)

        def listens():
            assert self.process.poll() is None, log.read_text()
            return not port_is_free(self.port)

        try:
            wait_until(listens, 30, f"{self.command[0]} on its port")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(STOP_TIME)

    def client(self, address) -> Wire:
        """A connection of a client with this address, as another proxy in front would pass it on."""
        wire = Wire(("127.0.0.1", self.port))
        wire.send(header(address))
        return wire


def haproxy(instance, folder, to, options, bind=""):
    return Proxy(instance, folder, ["/usr/sbin/haproxy", "-db", "-f", "proxy.conf"], HAPROXY, to=to,
                 options=options, bind=bind, proxy=PROXY)


def nginx(instance, folder, auth):
    return Proxy(instance, folder,
                 ["/usr/sbin/nginx", "-p", folder, "-e", "stderr", "-c", "proxy.conf"], NGINX, auth=auth,
                 certificate=instance.dir / "tls" / "cert.pem", key=instance.dir / "tls" / "key.pem")


class Directory:
    """What nginx asks over HTTP where a mailbox is: always at `port`."""

    def __init__(self, port):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Auth-Status", "OK")
                self.send_header("Auth-Server", "127.0.0.1")
                self.send_header("Auth-Port", str(port))
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def header(address):
    family, target = ("TCP6", "::1") if ":" in address else ("TCP4", "127.0.0.1")
    return f"PROXY {family} {address} {target} 4711 110\r\n".encode()


class From(Wire):
    """A connection to `port` from an address of this machine."""

    def __init__(self, address, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30,
                                             source_address=(address, 0))
        self.file = self.sock.makefile("rb")
