"""HAProxy and nginx between a client and pop3d, with configurations of a test's own, on loopback."""

import re
import signal
import socket
import subprocess
from pathlib import Path

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
    bind 127.0.0.1:{port} {bind}
    server bellhop 127.0.0.1:{to} source {proxy} {options}
"""

# With what docs/proxies.md says; and a proxy in front of it, which the test is.
NGINX = """
load_module /usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
master_process off;
pid nginx.pid;
error_log stderr info;
events {{}}
{settings}
"""
DOCS = Path(__file__).parents[2] / "docs"


def settings(page, kind, instance):
    """What a page of docs/ says to put into a file, for this instance."""
    found = re.findall(rf"(?ms)^```{re.escape(kind)}\n(.*?)^```$", (DOCS / page).read_text())
    assert found, (page, kind)
    return "".join(found).replace("/var/lib/bellhop", str(instance.dir))


def nginx_settings(instance, port):
    text = settings("proxies.md", "nginx", instance)
    for place, own in [("/etc/nginx/mail.pem", instance.dir / "tls/cert.pem"),
                       ("/etc/nginx/mail.key", instance.dir / "tls/key.pem"),
                       ("listen 995 ssl;", f"listen 127.0.0.1:{port} ssl proxy_protocol;"),
                       ("mail {\n", "mail {\n    set_real_ip_from 127.0.0.1;\n")]:
        assert place in text, place
        text = text.replace(place, str(own))
    return text


def free_port(instance):
    """Near the instance's own ports: below those that the kernel gives to connections."""
    return next(port for port in range(instance.base + 200, instance.base + 900) if port_is_free(port))


class Proxy:
    """A proxy that runs in the foreground until the end of the `with`."""

    def __init__(self, instance, folder, command, configuration, **values):
        self.port = free_port(instance)
        self.folder = folder
        self.command = command
        values = {name: value(self.port) if callable(value) else value for name, value in values.items()}
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


def haproxy(instance, folder, to, options, bind="accept-proxy"):
    return Proxy(instance, folder, ["/usr/sbin/haproxy", "-db", "-f", "proxy.conf"], HAPROXY, to=to,
                 options=options, bind=bind, proxy=PROXY)


def nginx(instance, folder):
    return Proxy(instance, folder, ["/usr/sbin/nginx", "-p", folder, "-e", "stderr", "-c", "proxy.conf"], NGINX,
                 settings=lambda port: nginx_settings(instance, port))


def header(address):
    family, target = ("TCP6", "::1") if ":" in address else ("TCP4", "127.0.0.1")
    return f"PROXY {family} {address} {target} 4711 110\r\n".encode()


class From(Wire):
    """A connection to `port` from an address of this machine."""

    def __init__(self, address, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30,
                                             source_address=(address, 0))
        self.file = self.sock.makefile("rb")
