"""Certificates and revocation lists made with the demo's issuing authority and openssl, as a third party would make them."""
import datetime
import pathlib
import subprocess

EXTENSIONS = """basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
"""

LIST_CONFIGURATION = """[ca]
default_ca = list
[list]
database = {dir}/index.txt
crlnumber = {dir}/crlnumber
default_md = sha256
default_crl_days = 30
crl_extensions = extensions
[extensions]
authorityKeyIdentifier = keyid
"""


def openssl(*words, at=None):
    done = subprocess.run([*(["faketime", at] if at else []), "openssl", *map(str, words)], capture_output=True, timeout=30)
    assert done.returncode == 0, f"openssl {words[0]}: {done.stderr.decode(errors='replace')[-800:]}"
    return done.stdout.decode()


class Certificate:
    """A chain and its key in files, and the subject as a white list writes it."""

    def __init__(self, chain, key):
        self.chain, self.key = chain, key
        self.subject = openssl("x509", "-in", chain, "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8").strip().removeprefix("subject=")
        self.serial = openssl("x509", "-in", chain, "-noout", "-serial").strip().removeprefix("serial=")
        self.fingerprint = openssl("x509", "-in", chain, "-noout", "-sha256", "-fingerprint").strip().split("=", 1)[1]


class Authority:
    """The issuing authority of a running demo."""

    def __init__(self, demo, directory):
        pki = demo.description["pki"]
        self.cert, self.key = pki["issuing_ca_cert_file"], pki["issuing_ca_key_file"]
        self.list_file = pathlib.Path(pki["crl_dir"]) / "issuing.pem"
        self.dir = pathlib.Path(directory)
        self.dir.mkdir()
        (self.dir / "index.txt").touch()
        # Above the number of the demo's own list.
        (self.dir / "crlnumber").write_text("1000\n")
        (self.dir / "list.cnf").write_text(LIST_CONFIGURATION.format(dir=self.dir))

    def issue(self, name, hosts, common_name=None, at=None, by=None):
        """A certificate for a server of these host names that also delivers to others; issued `at` a time that faketime(1) reads, for a month; `by` another authority."""
        cert, signing_key = by or (self.cert, self.key)
        key, request, extensions = (self.dir / f"{name}.{kind}" for kind in ("key", "csr", "ext"))
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        subject = f"/C=FR/ST=Bas-Rhin (67)/O=LABORATOIRE DE L'EST/OU=1670000019/CN={common_name or hosts[0]}"
        openssl("req", "-new", "-utf8", "-key", key, "-subj", subject, "-out", request)
        extensions.write_text(EXTENSIONS.format(names=", ".join(f"DNS:{host}" for host in hosts)))
        leaf, chain = self.dir / f"{name}.leaf", self.dir / f"{name}.pem"
        signing = ["x509", "-req", "-in", request, "-CA", cert, "-CAkey", signing_key, "-days", "30" if at else "365", "-sha256", "-extfile", extensions, "-out", leaf]
        openssl(*signing, at=at)
        chain.write_text(leaf.read_text() + pathlib.Path(cert).read_text())
        return Certificate(chain, key)

    def stranger(self):
        """Certificate and key of an authority that nobody here trusts."""
        cert, key = self.dir / "stranger-ca.pem", self.dir / "stranger-ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/C=FR/O=AUTRE/CN=AC TEST ETRANGERE", "-keyout", key, "-out", cert)
        return cert, key

    def revoke(self, certificate):
        """Puts a new list in the place of the demo's, with this certificate added. It is in force after a reload."""
        now = datetime.datetime.now(datetime.timezone.utc)
        expiry = now + datetime.timedelta(days=365)
        with open(self.dir / "index.txt", "a", encoding="ascii") as index:
            index.write(f"R\t{expiry:%y%m%d%H%M%SZ}\t{now:%y%m%d%H%M%SZ}\t{certificate.serial}\tunknown\t/CN=revoked\n")
        openssl("ca", "-config", self.dir / "list.cnf", "-gencrl", "-keyfile", self.key, "-cert", self.cert, "-out", self.dir / "list.pem")
        (self.dir / "list.pem").rename(self.list_file)
