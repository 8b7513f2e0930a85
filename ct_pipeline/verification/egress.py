"""The identities that we probe from. Pure records: ``stages/egresses.py`` reads them from the settings."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import SecretStr

DEFAULT_EGRESS = "default"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who we say we are. ``mail_from`` is empty for the null sender."""

    helo_name: str
    mail_from: str


@dataclass(frozen=True, slots=True)
class Egress:
    """Where we come from and who we say we are. Limits, breakers and greylisting hold for one egress and one site.

    ``other_mail_from`` is tried at hosts that refuse the sender of ``envelope`` (``""`` is the null sender, None: there
    is no other). ``source_address`` is an IP address of this machine to dial from; ``proxy`` is a URL such as
    ``socks5://user:password@192.0.2.1:1080`` to dial through. At most one of the two is set.
    """

    name: str
    envelope: Envelope
    other_mail_from: str | None = None
    source_address: str | None = None
    proxy: SecretStr | None = None

    @property
    def has_other_sender(self) -> bool:
        return self.other_mail_from is not None

    def envelope_with(self, *, other_sender: bool) -> Envelope:
        """The envelope, with the other sender if that is wanted and there is one."""
        if other_sender and self.other_mail_from is not None:
            return Envelope(self.envelope.helo_name, self.other_mail_from)
        return self.envelope

    @property
    def way(self) -> str:
        """How it connects, in words, without a password."""
        if self.proxy is not None:
            parts = urlsplit(self.proxy.get_secret_value())
            return f"through the proxy {parts.hostname}:{parts.port}"
        return f"from {self.source_address}" if self.source_address else "from the address that the system chooses"
