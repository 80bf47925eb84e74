"""A certificate authority for a test: an issuer below a root that clients trust."""

import ssl
import subprocess
from pathlib import Path

KEYS = {"ECDSA": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
        "RSA": ["-newkey", "rsa:2048"]}


def make(name, folder, cert, key, kind, days, issuer, *extensions):
    issued = [] if issuer is None else ["-CA", issuer[0], "-CAkey", issuer[1]]
    subprocess.run(["openssl", "req", "-x509", *KEYS[kind], "-nodes", "-subj", f"/CN={name}",
                    "-days", str(days), *issued, "-keyout", folder / key, "-out", folder / cert,
                    *(word for one in extensions for word in ("-addext", one))],
                   check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, folder):
        self.dir = Path(folder)
        self.root = self.dir / "root.pem"
        anchor = (self.root, self.dir / "root.key")
        self.issuer = (self.dir / "issuer.pem", self.dir / "issuer.key")
        signs = ["basicConstraints=critical,CA:true", "keyUsage=critical,keyCertSign"]
        make("Root", self.dir, "root.pem", "root.key", "ECDSA", 30, None, *signs)
        make("Issuer", self.dir, "issuer.pem", "issuer.key", "ECDSA", 30, anchor, *signs)

    def issue(self, folder, *names, kind="ECDSA", days=20, cert="cert.pem", key="key.pem"):
        """A new key and its certificate, with the issuer's behind it; returns the certificate as DER."""
        folder.mkdir(parents=True, exist_ok=True)
        names = ",".join(f"DNS:{name}" for name in names)
        make("a host", folder, cert, key, kind, days, self.issuer, "basicConstraints=CA:false",
             *([f"subjectAltName={names}"] if names else []))
        own = (folder / cert).read_text()
        (folder / cert).write_text(own + self.issuer[0].read_text())
        return ssl.PEM_cert_to_DER_cert(own)

    def issue_expired(self, folder, *names):
        """The same for one that is past its end, which only `openssl ca` makes."""
        self.issue(folder, *names)
        request, register, conf = (self.dir / name for name in ("request", "register", "ca.conf"))
        register.write_text("")
        conf.write_text(f"[ca]\ndefault_ca=one\n[one]\ndatabase={register}\nnew_certs_dir={self.dir}\nrand_serial=1\n"
                        "default_md=sha256\npolicy=any\ncopy_extensions=copy\n[any]\ncommonName=supplied\n")
        for command in (["x509", "-x509toreq", "-copy_extensions", "copyall", "-in", folder / "cert.pem",
                         "-signkey", folder / "key.pem", "-out", request],
                        ["ca", "-batch", "-notext", "-config", conf, "-cert", self.issuer[0], "-keyfile", self.issuer[1],
                         "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-in", request,
                         "-out", folder / "cert.pem"]):
            subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=60)
        return ssl.PEM_cert_to_DER_cert((folder / "cert.pem").read_text())

    @property
    def client(self):
        """Trusts the root alone, and checks names."""
        return ssl.create_default_context(cafile=self.root)
