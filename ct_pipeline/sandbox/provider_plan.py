"""The large providers of the packaged sandbox, the disposable services and the typing errors (data)."""

from dataclasses import dataclass

from ct_pipeline.sandbox.behaviours import Accepts, MailboxBehaviour

Mix = tuple[tuple[float, MailboxBehaviour], ...]
"""(share of the mailboxes, behaviour); the rest exist."""

EVERY_KIND: Mix = (
    (0.12, MailboxBehaviour.MISSING),
    (0.02, MailboxBehaviour.DISABLED),
    (0.015, MailboxBehaviour.FULL),
    (0.01, MailboxBehaviour.FULL_FOR_GOOD),
    (0.005, MailboxBehaviour.RECEIVING_TOO_FAST),
)
PLAIN: Mix = ((0.14, MailboxBehaviour.MISSING),)
NO_SOFT: Mix = (
    (0.13, MailboxBehaviour.MISSING),
    (0.02, MailboxBehaviour.DISABLED),
    (0.01, MailboxBehaviour.FULL_FOR_GOOD),
)


@dataclass(frozen=True, slots=True)
class ConsumerDomain:
    """A free-mail domain of a provider, with its real MX names."""

    domain: str
    mail_hosts: tuple[str, ...]
    mailbox_count: int


@dataclass(frozen=True, slots=True)
class LargeProvider:
    """``customer_hosts`` are the MX names of customers' own domains; ``{name}`` is the domain with dashes."""

    title: str
    manner: str
    style: str
    behaviour: str
    mix: Mix
    consumer: tuple[ConsumerDomain, ...] = ()
    customer_hosts: tuple[str, ...] = ()
    customer_domain_count: int = 0
    customer_mailbox_count: int = 0
    catch_all_count: int = 0


_GMAIL_HOSTS = ("gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com")
_YAHOO_HOSTS = ("mta5.am0.yahoodns.net", "mta6.am0.yahoodns.net")
_ICLOUD_HOSTS = ("mx01.mail.icloud.com", "mx02.mail.icloud.com")

PROVIDERS = (
    LargeProvider(
        title="Google",
        manner="refuses unknown names at RCPT",
        style="google",
        behaviour="normal",
        mix=EVERY_KIND,
        consumer=(ConsumerDomain("gmail.com", _GMAIL_HOSTS, 170),),
        customer_hosts=("aspmx.l.google.com", "alt1.aspmx.l.google.com"),
        customer_domain_count=24,
        customer_mailbox_count=27,
        catch_all_count=2,
    ),
    LargeProvider(
        title="Microsoft 365",
        manner="refuses names that are not in the directory (DBEB)",
        style="microsoft365",
        behaviour="normal",
        mix=PLAIN,
        customer_hosts=("{name}.mail.protection.outlook.com",),
        customer_domain_count=26,
        customer_mailbox_count=24,
        catch_all_count=2,
    ),
    LargeProvider(
        title="Yahoo",
        manner="accepts every name at RCPT and refuses after DATA",
        style="yahoo",
        behaviour="accepts_all",
        mix=PLAIN,
        consumer=(
            ConsumerDomain("yahoo.com", _YAHOO_HOSTS, 120),
            ConsumerDomain("aol.com", ("mx-aol.mail.gm0.yahoodns.net",), 50),
        ),
        customer_hosts=("mx-biz.mail.am0.yahoodns.net",),
        customer_domain_count=2,
        customer_mailbox_count=12,
    ),
    LargeProvider(
        title="Outlook.com",
        manner="forbids testing addresses without sending",
        style="outlook",
        behaviour="normal",
        mix=PLAIN,
        consumer=(
            ConsumerDomain("outlook.com", ("outlook-com.olc.protection.outlook.com",), 100),
            ConsumerDomain("hotmail.com", ("hotmail-com.olc.protection.outlook.com",), 100),
            ConsumerDomain("live.com", ("live-com.olc.protection.outlook.com",), 40),
        ),
    ),
    LargeProvider(
        title="iCloud",
        manner="refuses unknown names at RCPT",
        style="icloud",
        behaviour="normal",
        mix=NO_SOFT,
        consumer=(ConsumerDomain("icloud.com", _ICLOUD_HOSTS, 120), ConsumerDomain("me.com", _ICLOUD_HOSTS, 40)),
        customer_hosts=_ICLOUD_HOSTS,
        customer_domain_count=3,
        customer_mailbox_count=18,
    ),
    LargeProvider(
        title="Yandex",
        manner="says unknown user with 5.7.1",
        style="yandex",
        behaviour="normal",
        mix=((0.13, MailboxBehaviour.MISSING), (0.02, MailboxBehaviour.FULL_FOR_GOOD)),
        consumer=(ConsumerDomain("yandex.ru", ("mx.yandex.ru",), 80),),
        customer_hosts=("mx.yandex.net",),
        customer_domain_count=6,
        customer_mailbox_count=15,
    ),
    LargeProvider(
        title="Mail.ru",
        manner="says what is wrong with the mailbox",
        style="mailru",
        behaviour="normal",
        mix=NO_SOFT,
        consumer=(ConsumerDomain("mail.ru", ("mxs.mail.ru",), 80),),
        customer_hosts=("emx.mail.ru",),
        customer_domain_count=4,
        customer_mailbox_count=12,
    ),
)

DISPOSABLE = (
    ("mailinator.com", Accepts.EVERY_NAME),
    ("guerrillamail.com", Accepts.EVERY_NAME),
    ("yopmail.com", Accepts.EVERY_NAME),
    ("maildrop.cc", Accepts.EVERY_NAME),
    ("10minutemail.com", Accepts.KNOWN_NAMES),
    ("trashmail.com", Accepts.KNOWN_NAMES),
)

TYPOS = (
    ("gamil.com", "gmail.com"),
    ("gmal.com", "gmail.com"),
    ("gmail.con", "gmail.com"),
    ("yaho.com", "yahoo.com"),
    ("hotmal.com", "hotmail.com"),
    ("outlok.com", "outlook.com"),
    ("iclod.com", "icloud.com"),
)
