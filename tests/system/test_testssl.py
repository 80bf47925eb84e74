"""
What testssl.sh finds at both ports: Mozilla's "intermediate" settings, and none of the known
weaknesses. `make check` asks for protocols, `make grade` for everything.
"""

import json
import os
import subprocess

import pytest

from authority import Authority
from bellhop import Instance

GRADE = os.environ.get("BELLHOP_GRADE") == "1"
TIME = 140  # seconds for one run, below conftest's for a test

SUITES = {"TLSv1_2": {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
                      "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
                      "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"},
          "TLSv1_3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                      "TLS_CHACHA20_POLY1305_SHA256"}}

# What must be found, by the option of testssl.sh that looks for it: the finding's beginning.
PROTOCOLS = {"SSLv2": "not offered", "SSLv3": "not offered", "TLS1": "not offered",
             "TLS1_1": "not offered", "TLS1_2": "offered", "TLS1_3": "offered"}
KINDS = {"cipherlist_NULL": "not offered", "cipherlist_aNULL": "not offered",
         "cipherlist_EXPORT": "not offered", "cipherlist_LOW": "not offered",
         "cipherlist_3DES_IDEA": "not offered", "cipherlist_AVERAGE": "not offered",
         "cipherlist_STRONG": "offered"}
PREFERENCES = {"cipher_order": "server", "protocol_negotiated": "Default protocol TLS1.3"}
SECRECY = {"PFS": "offered", "PFS_ECDHE_curves": "prime256v1"}
WEAKNESSES = dict.fromkeys(["heartbleed", "CCS", "ROBOT", "secure_client_renego", "CRIME_TLS",
                            "POODLE_SSL", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST",
                            "LUCKY13", "RC4"], "not vulnerable") | {"secure_renego": "supported"}

# About this machine's openssl.
ABOUT_US = {"engine_problem", "scanTime"}


@pytest.fixture(scope="module")
def served(template, tmp_path_factory):
    """With ECDSA and RSA side by side also for who names no host."""
    folder = tmp_path_factory.mktemp("testssl")
    made = Instance(folder / "instance", template)
    (folder / "authority").mkdir()
    Authority(folder / "authority").issue(made.dir / "tls" / "rsa", "localhost", kind="RSA")
    try:
        yield made.start()
    finally:
        made.finish()


@pytest.mark.parametrize("service, option, wanted", [
    ("pop3s", "--protocols", PROTOCOLS),
    ("pop3s", "--std", KINDS),
    ("pop3", "--protocols", PROTOCOLS),
    ("pop3s", "--server-preference", PREFERENCES),
    ("pop3s", "--pfs", SECRECY),
    ("pop3s", "--vulnerable", WEAKNESSES),
], ids=lambda value: value.strip("-") if isinstance(value, str) else "")
def test_nothing_is_found(served, tmp_path, service, option, wanted):
    if not GRADE and (service, wanted) != ("pop3s", PROTOCOLS):
        pytest.skip("make grade does this, in some minutes")
    starttls = ["--starttls", "pop3"] if service == "pop3" else []
    report = tmp_path / "report.json"
    done = subprocess.run(
        ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--nodns", "none",
         "--connect-timeout", "20", "--openssl-timeout", "20", *starttls, option,
         "--jsonfile", report, f"127.0.0.1:{getattr(served.ports, service)}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TIME)
    findings = [one for one in json.loads(report.read_text()) if one["id"] not in ABOUT_US]
    bad = [one for one in findings if one["severity"] not in ("OK", "INFO", "DEBUG")]
    assert not bad, done.stdout
    found = {one["id"]: one["finding"] for one in findings}
    for name, beginning in wanted.items():
        assert found.get(name, "nothing").startswith(beginning), (name, done.stdout)
    if wanted is PREFERENCES:
        for version, suites in SUITES.items():
            assert set(found[f"cipherorder_{version}"].split()) == suites
