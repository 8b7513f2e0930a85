"""Certificates as mail servers have them: self-signed by small sites, and long expired at forgotten ones."""

import subprocess
from pathlib import Path

from ct_pipeline_tests.real_servers.real_server import program

# "openssl ca" alone can date a certificate back.
AUTHORITY = """\
[ca]
default_ca = this
[this]
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
policy = any_name
[any_name]
commonName = supplied
"""


def self_signed_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """(certificate, key) files for ``host`` in ``folder``, valid for now."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    _openssl(*request, "-keyout", key, "-out", certificate)
    return certificate, key


def outdated_certificate(folder: Path, host: str) -> tuple[Path, Path]:
    """(certificate, key) files as an installation of 2009 left them: 1024 bits, SHA-1, expired in 2010."""
    certificate, key, request = folder / "certificate.pem", folder / "key.pem", folder / "request.pem"
    (folder / "index.txt").touch()
    authority = folder / "authority.cnf"
    authority.write_text(AUTHORITY.format(folder=folder))
    _openssl("req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", f"/CN={host}", "-keyout", key, "-out", request)
    signing = ["ca", "-batch", "-selfsign", "-notext", "-md", "sha1", "-config", authority, "-keyfile", key]
    dates = ["-startdate", "20090101000000Z", "-enddate", "20100101000000Z"]
    _openssl(*signing, *dates, "-in", request, "-out", certificate)
    return certificate, key


def _openssl(*arguments: str | Path) -> None:
    subprocess.run([program("openssl"), *arguments], check=True, capture_output=True)
