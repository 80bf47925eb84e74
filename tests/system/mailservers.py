"""Real mail servers in front of an instance, with the settings of docs/operating/, on loopback."""

import grp
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from bellhop import BIN, STOP_TIME, port_is_free, wait_until
from proxies import free_port, settings

UNPACKED = BIN.parent / "mta"

# A user and a group that every Debian has, for what is postfix's on a machine that runs it.
USER, GROUP = "mail", "mail"
SETGID = "daemon"


def unpacked(package):
    folder = UNPACKED / package
    assert folder.is_dir(), f"there is no {folder}: run make deps"
    return folder


def end(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIME)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class MailServer:
    """Runs from where it was unpacked, as root, until the end of the `with`."""

    environment = None

    def __init__(self, instance, package):
        self.instance = instance
        self.home = unpacked(package)
        self.folder = Path(tempfile.mkdtemp(prefix=f"bellhop-{package}-"))
        self.folder.chmod(0o755)
        self.port = free_port(instance)
        self.ports = [self.port]

    def another_port(self):
        last = self.ports[-1]
        self.ports.append(next(port for port in range(last + 1, last + 500) if port_is_free(port)))
        return self.ports[-1]

    def __enter__(self):
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(self.daemon(), stdout=out, stderr=out, stdin=subprocess.DEVNULL,
                                            env=self.environment, start_new_session=True)
        try:
            wait_until(self._listens, 30, f"{type(self).__name__} on its ports")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _listens(self):
        assert self.process.poll() is None, self.log
        return not any(port_is_free(port) for port in self.ports)

    def __exit__(self, *_):
        end(self.process)
        print(f"-- log of {type(self).__name__}\n{self.log}")
        shutil.rmtree(self.folder)

    @property
    def log(self):
        return "".join(part.read_text() for part in [self.folder / "out", *self.logs()] if part.exists())

    def logs(self):
        return []


class Postfix(MailServer):

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
    # Those of Debian's master.cf that run in no chroot, but for what the page says.
    FREE = ["qmgr", "proxymap"]
    SERVICES = [
        (name, private, wakeup, most, command or name) for name, private, wakeup, most, command in [
            ("cleanup", "n", "-", 0, ""), ("qmgr", "n", 300, 1, ""), ("tlsmgr", "-", "1000?", 1, ""),
            ("rewrite", "-", "-", "-", "trivial-rewrite"), ("bounce", "-", "-", 0, ""),
            ("defer", "-", "-", 0, "bounce"), ("trace", "-", "-", 0, "bounce"),
            ("error", "-", "-", "-", ""), ("retry", "-", "-", "-", "error"),
            ("lmtp", "-", "-", "-", ""), ("proxymap", "-", "-", "-", ""), ("anvil", "-", "-", 1, ""),
            ("scache", "-", "-", 1, "")]]

    def __init__(self, instance):
        super().__init__(instance, "postfix")
        self.submission, self.submissions = self.another_port(), self.another_port()
        self.configuration = self.folder / "etc"
        self.configuration.mkdir()
        main = self.MAIN.format(home=self.home, folder=self.folder, user=USER, setgid=SETGID,
                                instance=instance.dir)
        (self.configuration / "main.cf").write_text(main + settings("operating/postfix.md", "main.cf", instance))
        services = settings("operating/postfix.md", "master.cf", instance)
        for name in ("submissions", "submission"):
            services = re.sub(rf"(?m)^{name} inet", f"127.0.0.1:{getattr(self, name)} inet", services)
        free = re.findall(r"(\w+)/(?:inet|unix)/chroot=n", settings("operating/postfix.md", "sh", instance))
        assert "smtp" in free and "lmtp" in free
        rows = [f"127.0.0.1:{self.port} inet n - n - - smtpd", "postlog unix-dgram n - n - 1 postlogd"]
        rows += [f"{name} unix {private} - {'n' if name in self.FREE + free else 'y'} {wakeup} {most} {command}"
                 for name, private, wakeup, most, command in self.SERVICES]
        (self.configuration / "master.cf").write_text(services + "\n".join(rows) + "\n")
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

    def daemon(self):
        return [self.home / "usr/lib/postfix/sbin/master", "-c", self.configuration, "-d"]

    def logs(self):
        return [self.folder / "log"]

    def reload(self):
        self.process.send_signal(signal.SIGHUP)  # as `postfix reload` does

    tried = ("desk@quayside.example", "")

    def try_address(self, address):
        ran = subprocess.run([self.home / "usr/sbin/postmap", "-q", address,
                              f"socketmap:unix:{self.instance.dir}/run/map.sock:recipients"],
                             text=True, capture_output=True, env=self.environment, timeout=60)
        assert ran.returncode == (0 if ran.stdout else 1), ran
        return ran.stdout


class Exim(MailServer):
    """It looks for its own user when it starts, so it sees a list of users of its own that has one."""

    MAIN = """
exim_path = {home}/usr/sbin/exim4
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/pid
primary_hostname = mx.test.example
domainlist local_domains =
hostlist relay_from_hosts =
host_lookup =
never_users =
local_interfaces = <; [127.0.0.1]:{port} ; [127.0.0.1]:{tls_port}
daemon_smtp_ports = {port}
tls_on_connect_ports = {tls_port}
tls_advertise_hosts = *
tls_certificate = {folder}/cert.pem
tls_privatekey = {folder}/key.pem
keep_environment =
.ifndef MAIN_ACL_CHECK_RCPT
MAIN_ACL_CHECK_RCPT = acl_check_rcpt
.endif
acl_smtp_rcpt = MAIN_ACL_CHECK_RCPT
"""  # the end is as in Debian's main/02_exim4-config_options

    def __init__(self, instance):
        super().__init__(instance, "exim4-daemon-heavy")
        self.submission, self.submissions = self.port, self.another_port()
        for name in ("spool", "log"):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, USER, GROUP)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(instance.dir / "tls" / name, self.folder)
            shutil.chown(self.folder / name, USER)
        main = self.MAIN.format(home=self.home, folder=self.folder, port=self.port,
                                tls_port=self.submissions)
        sections = {name: settings("operating/exim.md", f"exim.{name}", instance)
                    for name in ("main", "acl", "router", "transport", "auth")}
        self.configuration = self.folder / "exim.conf"
        self.configuration.write_text(
            f"{sections['main']}{main}begin acl\n{sections['acl']}begin routers\n{sections['router']}"
            f"begin transports\n{sections['transport']}begin authenticators\n{sections['auth']}")
        for name in ("passwd", "group"):
            known = Path("/etc", name).read_text()
            entry = {"passwd": "Debian-exim:x:8:8::/nonexistent:/usr/sbin/nologin\n",
                     "group": "Debian-exim:x:8:\n"}[name]
            (self.folder / name).write_text(entry + known)

    def command(self, *arguments):
        binds = " && ".join(f"mount --bind {self.folder}/{name} /etc/{name}"
                            for name in ("passwd", "group"))
        exim = self.home / "usr/sbin/exim4"
        return ["unshare", "-m", "sh", "-c", f'{binds} && exec "$0" "$@"', exim, "-C",
                self.configuration, *arguments]

    def daemon(self):
        return self.command("-bdf", "-q1m")

    def logs(self):
        return (self.folder / "log").iterdir()

    tried = ("transport = bellhop", "is undeliverable")

    def try_address(self, address):
        return subprocess.run(self.command("-bt", address), text=True, capture_output=True,
                              timeout=60).stdout


class OpenSMTPD(MailServer):
    """It sees folders and users of the test's where it looks for its own."""

    tried = ("configuration OK", "configuration OK")

    def __init__(self, instance):
        super().__init__(instance, "opensmtpd")
        self.configuration = self.folder / "smtpd.conf"
        self.configuration.write_text(self._here(settings("operating/opensmtpd.md", "smtpd.conf", instance)))
        uid, gid = pwd.getpwnam(USER).pw_uid, grp.getgrnam(GROUP).gr_gid
        users = "".join(f"{name}:x:{uid}:{gid}::/nonexistent:/bin/false\n" for name in ("opensmtpd", "opensmtpq"))
        groups = "".join(f"{name}:x:{gid}:\n" for name in ("opensmtpd", "opensmtpq"))
        for name, entries in [("passwd", users), ("group", groups)]:
            (self.folder / name).write_text(entries + Path("/etc", name).read_text())
        self.copy_domains(*self._copying[:-1])

    def _here(self, text):
        """What the page says of places, for this test's."""
        for place, own in [("/usr/local/bin/bellhop", BIN / "bellhop"), ("port 25", f"port {self.port}"),
                           ("0.0.0.0", "127.0.0.1"), ("/etc/bellhop-domains", self.folder / "domains")]:
            text = text.replace(place, str(own))
        return text

    @property
    def _copying(self):
        text = settings("operating/opensmtpd.md", "sh", self.instance)
        lines = [line for line in self._here(text).splitlines() if "domains" in line]
        assert len(lines) == 3 and lines[-1].startswith("smtpctl "), lines
        return lines

    def copy_domains(self, *lines):
        """As cron is to; smtpctl is set-group-id where it is installed."""
        path = f"{BIN}:{self.home}/usr/sbin:{os.environ['PATH']}"
        inside = ["nsenter", "-m", "-t", str(self.process.pid)] if not lines else []
        subprocess.run([*inside, "sh", "-ec", "\n".join(lines or self._copying)], check=True,
                       group=GROUP, env=os.environ | {"PATH": path}, timeout=60)

    def command(self, *arguments):
        mounts = [f"mount --bind {self.folder}/{name} /etc/{name}" for name in ("passwd", "group")]
        mounts += [f"mount -t tmpfs none {name}" for name in ("/run", "/var/lib", "/var/spool")]
        mounts += [f"mount --bind {self.home}/usr/libexec /usr/libexec",
                   "mkdir -p -m 711 /var/spool/smtpd", "mkdir -p -m 755 /var/lib/opensmtpd/empty"]
        return ["unshare", "-m", "sh", "-c", " && ".join([*mounts, 'exec "$0" "$@"']),
                self.home / "usr/sbin/smtpd", "-f", self.configuration, *arguments]

    def daemon(self):
        return self.command("-d")

    def try_address(self, _address):
        return subprocess.run(self.command("-n"), text=True, capture_output=True, timeout=60).stderr


def swaks(port, *options, sender="guest@elsewhere.example", to, body="one line\n"):
    """Sends a message; returns the whole conversation and swaks' exit code."""
    ran = subprocess.run(
        ["swaks", "--server", "127.0.0.1", "--port", str(port), "--from", sender, "--to", to,
         "--header", "Subject: by swaks", "--body", body, "--timeout", "60", *map(str, options)],
        text=True, capture_output=True, timeout=120)
    return ran.returncode, ran.stdout + ran.stderr


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="a mail server changes its user, as root only can")
