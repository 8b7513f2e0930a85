"""The self-signed certificate of the mail hosts that offer STARTTLS."""

import shutil
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

VALID_DAYS = 30
LONGEST_WAIT_SECONDS = 30


def self_signed_context(host: str) -> ssl.SSLContext | None:
    """A server context with a fresh certificate for ``host``, made with the ``openssl`` command line.

    None when that cannot be done; standard error then says why, and the hosts simply do not offer STARTTLS.
    """
    openssl = shutil.which("openssl")
    if openssl is None:
        sys.stderr.write(f"{host} does not offer STARTTLS: there is no openssl command to make its certificate\n")
        return None
    with tempfile.TemporaryDirectory(prefix="ct-sandbox-") as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", str(VALID_DAYS), "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
        command += ["-keyout", str(key), "-out", str(certificate)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=LONGEST_WAIT_SECONDS)  # noqa: S603 fixed
        except (OSError, subprocess.SubprocessError) as error:
            sys.stderr.write(f"{host} does not offer STARTTLS: openssl made no certificate ({error})\n")
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context
