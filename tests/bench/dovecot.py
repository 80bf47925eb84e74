"""The peer: Debian's Dovecot with an index that is fast (mdbox) and a cache of credentials."""

import grp
import os
import poplib
import pwd
import shutil
import smtplib
import sqlite3
import stat
import subprocess
import time
from contextlib import nullcontext

from bellhop import Ports, children, free_port_base, signal_process, wait_gone, wait_until

MAIL_ID = 5000  # whose the mail is where we are root; Dovecot gives root none
START_TIME = 30
STOP_TIME = 30

SETTINGS = """
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
info_log_path = {dir}/info.log
instance_name = bench
protocols = pop3 lmtp
listen = 127.0.0.1
{identity}

disable_plaintext_auth = no
auth_username_format = %Lu
auth_cache_size = 100M
auth_cache_ttl = 1 hour
passdb {{
  driver = sql
  args = {dir}/sql.conf
}}
userdb {{
  driver = prefetch
}}
userdb {{
  driver = sql
  args = {dir}/sql.conf
}}

ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}

first_valid_uid = {uid}
first_valid_gid = {gid}
mail_uid = {uid}
mail_gid = {gid}
mail_location = mdbox:~/mdbox
mailbox_list_index = no
lock_method = flock
mail_plugins = quota
mail_max_userip_connections = 0
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:bytes=16G
}}

default_client_limit = 15000
default_process_limit = 8000
default_vsz_limit = 0
service auth {{
  client_limit = 15000
}}
service anvil {{
  client_limit = 15000
  {chroot}
}}
service pop3-login {{
  service_count = 0
  process_min_avail = {login_processes}
  process_limit = {login_processes}
  inet_listener pop3 {{
    port = {ports.pop3}
  }}
  inet_listener pop3s {{
    port = {ports.pop3s}
    ssl = yes
  }}
  {chroot}
}}
service pop3 {{
  service_count = 10000
  process_min_avail = 16
}}
service lmtp {{
  service_count = 10000
  process_min_avail = 8
  inet_listener lmtp {{
    port = {ports.lmtp}
  }}
}}
"""

# What a normal user needs: everything under that user, and nothing in a root directory of its own.
AS_USER = """default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}"""

SQL = """
driver = sqlite
connect = {dir}/users.db
default_pass_scheme = ARGON2ID
password_query = SELECT address AS user, hash AS password, {uid} AS userdb_uid, \\
  {gid} AS userdb_gid, home AS userdb_home FROM users WHERE address = '%u'
user_query = SELECT {uid} AS uid, {gid} AS gid, home FROM users WHERE address = '%u'
iterate_query = SELECT address AS user FROM users
"""


def version():
    done = subprocess.run(["dovecot", "--version"], capture_output=True, text=True)
    return done.stdout.split()[0]


def settings():
    """For the report."""
    return ("mdbox without the index of mailboxes that only IMAP needs, users in SQLite with "
            "prefetch, credentials cached for an hour, quota by count, "
            f"{os.cpu_count()} pop3-login processes that stay, 16 pop3 and 8 lmtp ready, syncs as "
            "by default (every delivery is durable)")


def reachable(folder):
    """Whether mail can be there: below root it belongs to a user of its own."""
    return os.geteuid() != 0 or all(part.stat().st_mode & stat.S_IXOTH
                                    for part in [folder, *folder.parents])


class Dovecot:
    """
    Serves with the certificate of a Bellhop instance, to whom `hashes` has: (address, hash). The
    interface is contenders.Bellhop's.
    """
    name = "Dovecot"

    def __init__(self, folder, instance, hashes):
        self.dir = folder
        self.log_path = folder / "dovecot.log"
        self.process = None
        self.ports = None
        self.instance = instance
        self.login_processes = os.cpu_count()
        shutil.rmtree(folder, ignore_errors=True)
        for part in ["run", "state", "mail"]:
            (folder / part).mkdir(parents=True)
        if os.geteuid() == 0:
            self.uid = self.gid = MAIL_ID
            os.chown(folder / "mail", MAIL_ID, MAIL_ID)
        else:
            self.uid, self.gid = os.getuid(), os.getgid()
        self._add_users(hashes)

    @property
    def data(self):
        return self.dir / "mail"

    @property
    def serve_pid(self):
        return self.process.pid

    @property
    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def hashing_at_full_cost(self):
        """It has no bound for the memory of hashes."""
        return nullcontext()

    def _add_users(self, hashes):
        own = sqlite3.connect(self.dir / "users.db")
        with own:
            own.execute("CREATE TABLE users (address TEXT PRIMARY KEY, hash TEXT, home TEXT)")
            own.executemany("INSERT INTO users VALUES (?, ?, ?)",
                            ((address, digest, str(self.data / address))
                             for address, digest in hashes))
        own.close()
        (self.dir / "users.db").chmod(0o644)
        (self.dir / "sql.conf").write_text(SQL.format(dir=self.dir, uid=self.uid, gid=self.gid))

    def _configure(self):
        identity, chroot = "", ""
        if os.geteuid() != 0:
            identity = AS_USER.format(user=pwd.getpwuid(os.getuid()).pw_name,
                                      group=grp.getgrgid(os.getgid()).gr_name)
            chroot = "chroot ="
        tls = self.instance.dir / "tls"
        self.ports = Ports.at(free_port_base())
        path = self.dir / "dovecot.conf"
        path.write_text(SETTINGS.format(
            dir=self.dir, identity=identity, chroot=chroot, uid=self.uid, gid=self.gid,
            ports=self.ports, login_processes=self.login_processes, certificate=tls / "cert.pem",
            key=tls / "key.pem"))
        return path

    def start(self):
        self.process = subprocess.Popen(["dovecot", "-F", "-c", self._configure()],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(self._ready, START_TIME, "an answer of Dovecot")

    def _ready(self):
        if self.process.poll() is not None:
            raise SystemExit(f"bench: Dovecot ended at once:\n{self.log[-2000:]}")
        try:
            poplib.POP3("127.0.0.1", self.ports.pop3, timeout=10).quit()
            smtplib.LMTP("127.0.0.1", self.ports.lmtp).quit()
        except (OSError, poplib.error_proto, smtplib.SMTPException):
            return False
        return True

    def bring(self, account, texts):
        """Mail into its INBOX, of which LMTP would take minutes; texts end with a line's end."""
        folder = self.data / "brought"
        folder.mkdir()
        with (folder / "inbox").open("w") as mbox:
            for text in texts:
                mbox.write(f"From load Sun Nov 22 10:00:00 2026\n{text}\n")
        for path in [folder, folder / "inbox"]:
            os.chown(path, self.uid, self.gid)
        subprocess.run(["doveadm", "-c", self.dir / "dovecot.conf", "import", "-u", account[0],
                        f"mbox:{folder}:INBOX={folder}/inbox", "", "ALL"], check=True)
        shutil.rmtree(folder)

    def stop(self):
        if self.process is None:
            return
        below = children(self.process.pid)
        self.process.terminate()
        self.process.wait(STOP_TIME)
        self.process = None
        deadline = time.monotonic() + 5
        for pid in below:  # sessions may outlive their master
            try:
                wait_gone(pid, max(0, deadline - time.monotonic()))
            except AssertionError:
                signal_process(pid, 9)
                wait_gone(pid)
