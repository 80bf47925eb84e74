"""Real mail servers in front of an instance, with the settings of docs/operating/, on loopback."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from bellhop import BIN, STOP_TIME, port_is_free, wait_until
from proxies import free_port

ROOT = Path(__file__).parents[2]
UNPACKED = BIN.parent / "mta"

# A user and a group that every Debian has, for what is postfix's on a machine that runs it.
USER, GROUP = "mail", "mail"
SETGID = "daemon"


def settings(page, kind, instance):
    """What a page of docs/operating/ says to put into a file, for this instance."""
    text = (ROOT / "docs" / "operating" / page).read_text()
    found = re.findall(rf"(?ms)^```{re.escape(kind)}\n(.*?)^```$", text)
    assert found, (page, kind)
    return "".join(found).replace("/var/lib/bellhop", str(instance.dir))


def unpacked(package):
    folder = UNPACKED / package
    assert folder.is_dir(), f"there is no {folder}: run make deps"
    return folder


class Postfix:
    """Runs from where it was unpacked, as root, until the end of the `with`."""

    MAIN = """
compatibility_level = 3.6
command_directory = {home}/usr/sbin
daemon_directory = {home}/usr/lib/postfix/sbin
shlib_directory = {home}/usr/lib/postfix
meta_directory = {home}/etc/postfix
queue_directory = {folder}/spool
data_directory = {folder}/data
mail_owner = {user}
setgid_group = {setgid}
import_environment = MAIL_CONFIG LD_LIBRARY_PATH
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test.example
mydestination =
mynetworks =
alias_maps =
local_recipient_maps =
default_transport = error:nothing leaves this machine
smtpd_peername_lookup = no
smtpd_tls_chain_files = {instance}/tls/key.pem, {instance}/tls/cert.pem
smtpd_tls_security_level = may
"""
    SERVICES = ["postlog unix-dgram n - n - 1 postlogd"] + [
        f"{name} unix {private} - n {wakeup} {most} {command or name}"
        for name, private, wakeup, most, command in [
            ("cleanup", "n", "-", 0, ""), ("qmgr", "n", 300, 1, ""), ("tlsmgr", "-", "1000?", 1, ""),
            ("rewrite", "-", "-", "-", "trivial-rewrite"), ("bounce", "-", "-", 0, ""),
            ("defer", "-", "-", 0, "bounce"), ("trace", "-", "-", 0, "bounce"),
            ("error", "-", "-", "-", ""), ("retry", "-", "-", "-", "error"),
            ("lmtp", "-", "-", "-", ""), ("proxymap", "-", "-", "-", ""), ("anvil", "-", "-", 1, ""),
            ("scache", "-", "-", 1, "")]]

    def __init__(self, instance):
        self.home = unpacked("postfix")
        self.folder = Path(tempfile.mkdtemp(prefix="bellhop-postfix-"))
        self.folder.chmod(0o755)
        self.port = free_port(instance)
        self.submission = next(port for port in range(self.port + 1, self.port + 500)
                               if port_is_free(port))
        self.submissions = next(port for port in range(self.submission + 1, self.port + 500)
                                if port_is_free(port))
        self.configuration = self.folder / "etc"
        self.configuration.mkdir()
        main = self.MAIN.format(home=self.home, folder=self.folder, user=USER, setgid=SETGID,
                                instance=instance.dir)
        (self.configuration / "main.cf").write_text(main + settings("postfix.md", "main.cf", instance))
        services = settings("postfix.md", "master.cf", instance)
        for name in ("submissions", "submission"):
            services = re.sub(rf"(?m)^{name} inet", f"127.0.0.1:{getattr(self, name)} inet", services)
        (self.configuration / "master.cf").write_text(
            f"127.0.0.1:{self.port} inet n - n - - smtpd\n{services}" + "\n".join(self.SERVICES) + "\n")
        self._queues()

    def _queues(self):
        for name in ("active bounce corrupt defer deferred flush hold incoming private saved trace"
                     " public maildrop pid").split():
            queue = self.folder / "spool" / name
            queue.mkdir(parents=True)
            if name != "pid":
                shutil.chown(queue, USER)
        (self.folder / "data").mkdir()
        shutil.chown(self.folder / "data", USER)

    @property
    def environment(self):
        return os.environ | {"LD_LIBRARY_PATH": str(self.home / "usr/lib/postfix"),
                             "MAIL_CONFIG": str(self.configuration)}

    def __enter__(self):
        master = self.home / "usr/lib/postfix/sbin/master"
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen([master, "-c", self.configuration, "-d"], stdout=out,
                                            stderr=out, stdin=subprocess.DEVNULL, env=self.environment,
                                            start_new_session=True)
        try:
            wait_until(self._listens, 30, "Postfix on its ports")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _listens(self):
        assert self.process.poll() is None, self.log
        return not any(port_is_free(port) for port in (self.port, self.submission, self.submissions))

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_TIME)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        print(f"-- log of Postfix\n{self.log}")
        shutil.rmtree(self.folder)

    @property
    def log(self):
        parts = [self.folder / "out", self.folder / "log"]
        return "".join(part.read_text() for part in parts if part.exists())

    def look_up(self, table, key):
        return subprocess.run([self.home / "usr/sbin/postmap", "-q", key, table], text=True,
                              capture_output=True, env=self.environment, timeout=60)


def swaks(port, *options, sender="guest@elsewhere.example", to, body="one line\n"):
    """Sends a message; returns the whole conversation and swaks' exit code."""
    ran = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", sender, "--to", to,
         "--header", "Subject: by swaks", "--body", body, "--timeout", "60", *map(str, options)],
        text=True, capture_output=True, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a mail server changes its user, as root only can")
