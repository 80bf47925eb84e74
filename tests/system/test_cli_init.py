"""bellhop init: a new instance, an existing one, and one that was left half-made."""

import os
import random
import re
import shutil
import socket
import ssl
import stat
import subprocess
import time

import pytest

from bellhop import BIN, run

PIECES = ["texts", "texts/quota-warning.de.txt", "bellhop.conf", "tls", "tls/key.pem", "tls/cert.pem", "store", "run", "accounts.db"]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def setting(directory, name):
    return re.search(rf"(?m)^{name} = (.*)$", (directory / "bellhop.conf").read_text()).group(1)


def contents(directory):
    """Everything that init must keep, by path."""
    return {path.relative_to(directory): path.read_bytes() if path.is_file() else None
            for path in sorted(directory.rglob("*"))}


def certificate(directory):
    """What openssl says of the certificate, as text."""
    return subprocess.run(["openssl", "x509", "-in", directory / "tls" / "cert.pem", "-noout",
                           "-text"], capture_output=True, text=True, check=True).stdout


def check_complete(directory):
    """Everything is there, and the key is the certificate's."""
    for piece in PIECES:
        assert (directory / piece).exists(), piece
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(directory / "tls" / "cert.pem",
                                                            directory / "tls" / "key.pem")
    plans = run("-C", directory, "plan", "list").stdout
    assert [line.split()[0] for line in plans.splitlines()[1:]] == ["chain", "house", "single"]


def test_a_new_instance(tmp_path):
    directory = tmp_path / "new"
    done = run("init", directory)
    assert done.stderr == ""
    check_complete(directory)
    assert mode(directory) == 0o750
    assert mode(directory / "store") == 0o700
    assert mode(directory / "run") == 0o2710
    assert mode(directory / "tls" / "key.pem") == 0o600
    assert mode(directory / "accounts.db") == 0o600
    assert sorted(path.name for path in directory.iterdir()) == sorted(
        ["bellhop.conf", "tls", "texts", "store", "run", "accounts.db"])
    assert setting(directory, "pop3_listen") == "*:110"
    assert setting(directory, "pop3s_listen") == "*:995"
    assert setting(directory, "lmtp_listen") == "127.0.0.1:24"
    assert setting(directory, "http_listen") == "127.0.0.1:80"
    name = socket.gethostname()
    assert setting(directory, "hostname") == (name.lower() if "." in name else "localhost")


def test_modes_do_not_depend_on_the_umask(tmp_path):
    for umask in "000", "077":
        directory = tmp_path / umask
        subprocess.run(["/bin/sh", "-c", 'umask "$0"; exec "$@"', umask, BIN / "bellhop", "init",
                        directory], check=True, stdout=subprocess.DEVNULL, timeout=20)
        assert mode(directory) == 0o750
        assert mode(directory / "run") == 0o2710
        assert mode(directory / "bellhop.conf") == 0o640
        assert mode(directory / "tls" / "key.pem") == 0o600
        assert mode(directory / "tls" / "cert.pem") == 0o644
        assert mode(directory / "accounts.db") == 0o600


@pytest.mark.parametrize("base", [0, 20000, 64540])
def test_ports_follow_the_base(tmp_path, base):
    directory = tmp_path / "new"
    run("init", directory, "--port-base", base)
    assert setting(directory, "pop3_listen") == f"*:{base + 110}"
    assert setting(directory, "pop3s_listen") == f"*:{base + 995}"
    assert setting(directory, "lmtp_listen") == f"127.0.0.1:{base + 24}"
    assert setting(directory, "http_listen") == f"127.0.0.1:{base + 80}"


def test_the_certificate(tmp_path):
    directory = tmp_path / "new"
    run("init", directory)
    text = certificate(directory)
    assert "ASN1 OID: prime256v1" in text
    names = text.split("Subject Alternative Name:")[1].splitlines()[1]
    for name in "DNS:localhost", "IP Address:127.0.0.1", "IP Address:0:0:0:0:0:0:0:1":
        assert name in names
    dates = re.findall(r"Not (?:Before|After) ?: (.*) GMT", text)
    days = [(ssl.cert_time_to_seconds(date + " GMT") - time.time()) / 86400 for date in dates]
    assert -1.1 < days[0] < 0 and 3649 < days[1] < 3651
    subprocess.run(["openssl", "verify", "-x509_strict", "-CAfile",
                    directory / "tls" / "cert.pem", "-verify_hostname", "localhost",
                    directory / "tls" / "cert.pem"], check=True, stdout=subprocess.DEVNULL)


def test_two_instances_have_different_keys(tmp_path):
    for name in "one", "two":
        run("init", tmp_path / name)
    for file in "tls/key.pem", "tls/cert.pem":
        assert (tmp_path / "one" / file).read_bytes() != (tmp_path / "two" / file).read_bytes()


def test_the_certificate_names_the_configured_host(tmp_path):
    directory = tmp_path / "new"
    run("init", directory)
    text = (directory / "bellhop.conf").read_text()
    for host, expected in ("mail.quayside.example", "DNS:mail.quayside.example, DNS:localhost"), \
            ("192.0.2.7", "IP Address:192.0.2.7, DNS:localhost"), \
            ("h" * 70 + ".example", "DNS:" + "h" * 70 + ".example, "):
        (directory / "bellhop.conf").write_text(
            re.sub(r"(?m)^hostname = .*$", f"hostname = {host}", text))
        (directory / "tls" / "cert.pem").unlink()
        run("init", directory)
        assert expected in certificate(directory)


def test_a_second_init_keeps_everything(stopped):
    (stopped.dir / "texts" / "quota-warning.nl.txt").write_text("Subject: Vol\n\nVol.\n")
    before = contents(stopped.dir)
    done = run("init", stopped.dir)
    assert contents(stopped.dir) == before
    assert set(line.split()[0] for line in done.stdout.splitlines()[:-1]) == {"kept"}
    assert len(stopped.cli("customer", "list").stdout.splitlines()) == 3


def test_a_second_init_does_not_change_ports(stopped):
    before = contents(stopped.dir)
    done = run("init", stopped.dir, "--port-base", stopped.base + 1)
    assert "note" in done.stdout
    assert "note" not in run("init", stopped.dir, "--port-base", stopped.base).stdout
    assert contents(stopped.dir) == before


@pytest.mark.parametrize("missing", [piece for piece in PIECES if piece != "tls/key.pem"])
def test_a_missing_piece_is_made_and_the_rest_is_kept(stopped, missing):
    path = stopped.dir / missing
    gone = [path, *path.rglob("*")] if path.is_dir() else [path]
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    before = contents(stopped.dir)
    done = run("init", stopped.dir, "--port-base", stopped.base)
    after = contents(stopped.dir)
    assert {name: after[name] for name in before} == before
    for name in gone:
        assert name.exists() and f"made     {name.relative_to(stopped.dir)}" in done.stdout
    check_complete(stopped.dir)


def test_a_certificate_without_key_is_not_replaced(stopped):
    (stopped.dir / "tls" / "key.pem").unlink()
    before = contents(stopped.dir)
    done = run("init", stopped.dir, check=False)
    assert done.returncode == 1 and "tls/key.pem" in done.stderr
    assert contents(stopped.dir) == before


def test_a_key_that_is_none_is_not_replaced(stopped):
    (stopped.dir / "tls" / "key.pem").write_text("no key\n")
    (stopped.dir / "tls" / "cert.pem").unlink()
    done = run("init", stopped.dir, check=False)
    assert done.returncode == 1 and "tls/key.pem" in done.stderr
    assert (stopped.dir / "tls" / "key.pem").read_text() == "no key\n"
    assert [path.name for path in (stopped.dir / "tls").iterdir()] == ["key.pem"]


def test_what_a_crash_left_is_no_obstacle(tmp_path):
    directory = tmp_path / "new"
    (directory / "tls").mkdir(parents=True)
    for name in "bellhop.conf.new", "tls/key.pem.new", "tls/cert.pem.new":
        (directory / name).write_text("half of it")
        (directory / name).chmod(0o400)
    run("init", directory)
    check_complete(directory)
    assert not list(directory.rglob("*.new"))


def test_a_kill_at_any_time_leaves_what_init_completes(tmp_path):
    started = time.monotonic()
    run("init", tmp_path / "whole")
    whole = time.monotonic() - started
    for number in range(8):
        directory = tmp_path / str(number)
        init = subprocess.Popen([BIN / "bellhop", "init", directory],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            init.wait(random.uniform(0, whole))
        except subprocess.TimeoutExpired:
            init.kill()
            init.wait()
        run("init", directory)
        check_complete(directory)


def test_parallel_inits_make_one_instance(tmp_path):
    inits = [subprocess.Popen([BIN / "bellhop", "init", tmp_path / "new"], text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
             for _ in range(6)]
    ends = [(init.communicate(timeout=20)[1], init.returncode) for init in inits]
    assert 0 in [status for _, status in ends]
    for error, status in ends:
        assert status == 0 or (status == 1 and "another bellhop init" in error), error
    check_complete(tmp_path / "new")


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear guest")
    done = run("init", tmp_path, check=False)
    assert done.returncode == 1 and "letter.txt" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("name", ["file", "missing/folder", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path, name):
    (tmp_path / "file").write_text("")
    done = run("init", tmp_path / name, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert str(tmp_path / name) in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path):
    tmp_path.chmod(0o555)
    done = run("init", tmp_path / "new", check=False)
    tmp_path.chmod(0o755)
    assert done.returncode == 1 and "Permission denied" in done.stderr
