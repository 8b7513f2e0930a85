"""The identities that we probe from. Pure records: ``stages/egresses.py`` reads them from the settings."""

from dataclasses import dataclass

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
