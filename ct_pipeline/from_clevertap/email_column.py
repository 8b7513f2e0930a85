"""Which column holds the email addresses: told by its name, else by its first cells."""

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

_EXACT_NAMES = (
    frozenset({"email", "emailaddress", "emails", "emailid", "emailaddr", "emailadress", "emailaddresses", "rawemail"}),
    frozenset(
        {
            *("mail", "mails", "mailaddress", "primaryemail", "primaryemailaddress", "contactemail", "useremail"),
            *("correo", "correoelectronico", "correos", "direcciondecorreo", "direcciondecorreoelectronico"),
            *("courriel", "courriels", "adressemail", "adresseemail", "adressecourriel", "adresseelectronique"),
            *("emailadresse", "mailadresse", "emailadressen", "epost", "epostadresse", "epostadress"),
            *("eposta", "epostaadresi", "emailadres", "mailadres", "emailcim", "adresemail", "adreseemail"),
            *("indirizzoemail", "indirizzomail", "postaelettronica", "enderecodeemail", "correioeletronico"),
            *("sahkoposti", "sahkopostiosoite", "почта", "электроннаяпочта", "имейл", "адресэлектроннойпочты"),
            *("メール", "メールアドレス", "邮箱", "电子邮件", "电子邮箱", "電子郵件", "이메일", "이메일주소"),
            *("ईमेल", "البريدالإلكتروني", "דואראלקטרוני"),
        }
    ),
)
_NOT_THE_ADDRESS = frozenset(
    {
        *("status", "state", "verified", "verification", "verify", "valid", "validity", "validated", "opt"),
        *("optin", "optout", "in", "out", "subscribed", "subscribe", "unsubscribe", "unsubscribed"),
        *("subscription", "consent", "permission", "allowed", "enabled", "preference", "preferences"),
        *("frequency", "date", "time", "at", "on", "sent", "opened", "clicked", "open", "click", "opens"),
        *("clicks", "count", "type", "domain", "provider", "score", "hash", "md5", "sha1", "sha256"),
        *("bounce", "bounced", "bounces", "campaign", "template", "subject", "body", "reason", "result"),
        *("flag", "is", "has", "quality", "source", "client", "format"),
    }
)
"""Words that turn 'email …' into something told about the address."""

_ADDRESS = re.compile(r"\s*(?:mailto:)?[^\s@,;|<>\"]+@[^\s@,;|<>\"]+\.[^\s@,;|<>\"]{2,}\s*", re.IGNORECASE)
_NAMED_ADDRESS = re.compile(r"[^<>]*<\s*[^\s@<>]+@[^\s@<>]+\.[^\s@<>]{2,}\s*>\s*")
_LONGEST_LOOKED_AT = 400
_SHARE_TO_BE_FOUND_BY_CONTENT = 0.3  # of the cells that are not blank; dirty lists are still mostly addresses
_SHARE_TO_OVERRULE_A_NAME = 0.5


def pick_email_column(headers: Sequence[str], sample: Sequence[Sequence[str]]) -> int | None:
    """The index of the column that holds addresses, or None.

    The name decides; among equal names the content of ``sample`` (rows as wide as ``headers``). A column that is named
    like email but holds no ``@`` (a yes/no flag, say) loses to one that mostly holds addresses.
    """
    shares = [_address_share([row[i] for row in sample]) for i in range(len(headers))]
    named = [(rank, -shares[i], i) for i, header in enumerate(headers) if (rank := name_rank(header)) is not None]
    best_by_content = max(range(len(headers)), key=lambda i: shares[i], default=None)
    if best_by_content is not None and shares[best_by_content] >= _SHARE_TO_OVERRULE_A_NAME:
        named = [choice for choice in named if not _is_something_else([row[choice[2]] for row in sample])]
    if named:
        return min(named)[2]
    if best_by_content is not None and shares[best_by_content] >= _SHARE_TO_BE_FOUND_BY_CONTENT:
        return best_by_content
    return None


def name_rank(header: str) -> int | None:
    """How well a name fits: 0 is best, None not at all. ``"E-Mail"`` 0, ``"Courriel"`` 1, ``"work_email"`` 2."""
    words = _words(header)
    rank = _ranks_of_exact_names().get("".join(words))
    if rank is not None:
        return rank
    if _NOT_THE_ADDRESS.isdisjoint(words):
        if "email" in words or "emailaddress" in words:
            return 2
        if "mail" in words or "correo" in words or "courriel" in words:
            return 3
    return None


def looks_like_address(cell: str) -> bool:
    """True for ``a@b.org``, ``mailto:a@b.org`` and ``Name <a@b.org>``; a guess by form, no verdict."""
    if "@" not in cell or len(cell) > _LONGEST_LOOKED_AT:
        return False
    return bool(_ADDRESS.fullmatch(cell) or _NAMED_ADDRESS.fullmatch(cell))


@cache
def _ranks_of_exact_names() -> dict[str, int]:
    return {"".join(_words(name)): rank for rank, names in enumerate(_EXACT_NAMES) for name in names}


def _address_share(cells: Sequence[str]) -> float:
    filled = [cell for cell in cells if cell.strip()]
    return sum(map(looks_like_address, filled)) / len(filled) if filled else 0.0


def _is_something_else(cells: Sequence[str]) -> bool:
    filled = [cell for cell in cells if cell.strip()]
    return bool(filled) and not any("@" in cell for cell in filled)


def _words(header: str) -> list[str]:
    """Lower-case words without accents: ``"workE-Mail_Adresse"`` gives ``["work", "email", "adresse"]``."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", header.strip())
    plain = "".join(c for c in unicodedata.normalize("NFKD", spaced) if not unicodedata.combining(c))
    recomposed = unicodedata.normalize("NFKC", plain).casefold()
    joined = re.sub(r"\be[\W_]*mail", "email", recomposed)
    return re.findall(r"[^\W_]+", joined)
