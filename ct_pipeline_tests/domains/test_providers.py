"""``providers.toml``: what it says of well-known hosts and answers, and that its documentation shows it."""

from pathlib import Path

import pytest

from ct_pipeline.domains.disposable import is_disposable
from ct_pipeline.domains.provider_source import MONTH
from ct_pipeline.domains.provider_table import as_markdown
from ct_pipeline.domains.providers import Accepts, Probing, Provider, RandomProbe, Refuses, load_providers

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "providers.md"


HOSTS = {
    "google": "aspmx.l.google.com ALT1.ASPMX.L.GOOGLE.COM. aspmx2.googlemail.com gmail-smtp-in.l.google.com "
    "smtp.google.com",
    "microsoft365": "contoso-com.mail.protection.outlook.com contoso-com.a-v1.mx.microsoft",
    "outlook": "outlook-com.olc.protection.outlook.com eur.olc.protection.outlook.com mx1.hotmail.com",
    "yahoo": "mta5.am0.yahoodns.net mx-eu.mail.am0.yahoodns.net mx-aol.mail.gm0.yahoodns.net mailin-01.mx.aol.com",
    "yahoo_japan": "mx1.mail.yahoo.co.jp",
    "icloud": "mx01.mail.icloud.com mx02.mail.icloud.com",
    "mail_ru": "mxs.mail.ru emx.mail.ru",
    "yandex": "mx.yandex.net mx.yandex.ru",
    "gmx": "mx00.gmx.net mx-ha02.web.de",
    "mail_com": "mx00.mail.com",
    "ionos": "mx00.ionos.de mx01.ionos.com mxint01.1and1.com mx00.kundenserver.de mx00.perfora.net",
    "mimecast": "eu-smtp-inbound-1.mimecast.com za-smtp-inbound-1.mimecast.co.za",
    "proofpoint": "mxa-001.gslb.pphosted.com mx1-us1.ppe-hosted.com",
    "barracuda": "d1.ess.barracudanetworks.com d2.ess.de.barracudanetworks.com",
    "cisco": "mx1.hc123-4.iphmx.com",
    "symantec": "cluster1.eu.messagelabs.com",
    "trend_micro": "contoso.in.tmes.trendmicro.com contoso.in.tmes.trendmicro.eu contoso.in.tmes-anz.trendmicro.com",
    "sophos": "mx-01-eu-central-1.prod.hydra.sophos.com",
    "forcepoint": "cust1234-1.in.mailcontrol.com",
    "trellix": "primary.us.email.fireeyecloud.com",
    "hornetsecurity": "mx01.hornetsecurity.com hsmx01.antispameurope.com",
    "spamexperts": "mx134.antispamcloud.com mx.spamexperts.com fallbackmx.spamexperts.eu lastmx.spamexperts.net",
    "zoho": "mx.zoho.eu mx.zoho.in mx2.zoho.com smtpin.zoho.com mx.zohomail.com",
    "rackspace": "mx1.emailsrvr.com",
    "godaddy": "smtp.secureserver.net mailstore1.europe.secureserver.net",
    "titan": "mx1.titan.email",
    "hostinger": "mx1.hostinger.com",
    "ovh": "mx1.mail.ovh.net mx4.mail.ovh.net",
    "one_com": "mx1.pub.mailpod12-cph3.one.com",
    "gandi": "spool.mail.gandi.net",
    "strato": "smtpin.rzone.de",
    "aruba": "mx.aruba.it",
    "amazon": "inbound-smtp.us-east-1.amazonaws.com",
    "cloudflare": "route1.mx.cloudflare.net",
    "forwardemail": "mx1.forwardemail.net",
    "simplelogin": "mx1.simplelogin.co",
    "duckduckgo": "smtp-inbound1.duck.com",
    "comcast": "mx1.mxge.comcast.net",
    "att": "ff-ip4-mx-vip1.prodigy.net",
    "orange": "smtp-in.orange.fr smtp-in2.orange.fr",
    "la_poste": "smtpz4.laposte.net",
    "sfr": "smtp-in.sfr.fr",
    "free_fr": "mx1.free.fr",
    "t_online": "mx00.t-online.de",
    "libero": "smtp-in.libero.it smtp-in.virgilio.it",
    "tiscali": "etb-1.mail.tiscali.it",
    "seznam": "mx1.seznam.cz",
    "onet": "mx.poczta.onet.pl",
    "bt": "mx.bt.prod.cloud.openwave.ai",
    "atmail": "mx-10.eu-west.atmailcloud.com",
    "telia": "mail.telia.com",
    "qq": "mx3.qq.com mxbiz1.qq.com",
    "netease": "163mx01.mxmail.netease.com",
    "alibaba": "mxn.mxhichina.com",
    "naver": "mx1.naver.com",
    "daum": "mx1.hanmail.net",
    "docomo": "mfsmax.docomo.ne.jp",
    "kddi": "msmx.au.com lsean.ezweb.ne.jp",
    "rediff": "mx.rediffmail.rediff.akadns.net",
    "proton": "mail.protonmail.ch mailsec.protonmail.ch",
    "fastmail": "in1-smtp.messagingengine.com",
    "tuta": "mail.tutanota.de",
}


@pytest.mark.parametrize(("name", "host"), [(name, host) for name, hosts in HOSTS.items() for host in hosts.split()])
def test_a_mail_host_tells_its_provider(name: str, host: str) -> None:
    provider = load_providers().of_host(host)
    assert provider is not None
    assert provider.name == name


@pytest.mark.parametrize(
    "host",
    [
        *("google.com", "evilgoogle.com", "aspmx.l.google.com.evil.example", "other.akadns.net", "localhost", ""),
        *("ec2-192-0-2-1.compute.amazonaws.com", "mail.eu.com", "mx.au.com"),
    ],
)
def test_a_name_that_only_looks_like_a_providers_is_nobodys(host: str) -> None:
    assert load_providers().of_host(host) is None


def named(name: str) -> Provider:
    row = load_providers().named(name)
    assert row is not None
    return row


def test_what_providers_say_of_probing() -> None:
    assert named("outlook").probing is Probing.FORBIDDEN
    assert named("comcast").probing is Probing.DISCOURAGED
    assert named("google").probing is Probing.ALLOWED


def test_how_far_answers_are_believed() -> None:
    assert [row.name for row in load_providers().rows if row.hides_answer] == ["yahoo"]
    assert named("yahoo").random_probe is RandomProbe.NEVER
    assert named("google").accepts is Accepts.BELIEVED
    assert named("google").refuses is Refuses.BELIEVED
    # a tenant or a customer may take every name: the random probe tells
    assert {named(name).accepts for name in ("microsoft365", "mimecast", "proofpoint", "cisco")} == {Accepts.IN_DOUBT}
    assert {row.name for row in load_providers().rows if row.refuses is Refuses.IN_DOUBT} == {"yahoo"}


def test_enough_providers_are_known() -> None:
    assert len(load_providers().rows) >= 60
    assert sum(row.has_lane for row in load_providers().rows) == 20  # each is a partition for good: think twice


@pytest.mark.parametrize("row", load_providers().rows, ids=lambda row: row.name)
def test_each_row_is_sane(row: Provider) -> None:
    assert all(MONTH.fullmatch(source.month) for source in row.source.values())
    assert row.connections is None or row.connections <= 100
    assert row.session_addresses is None or row.session_addresses <= 1000
    assert row.free_domains or row.source["free"].is_none


def test_free_domains() -> None:
    providers = load_providers()
    assert all(map(providers.is_free, ("gmail.com", "Yahoo.co.in", "rediffmail.com", "seznam.cz", "libero.it")))
    assert not any(map(providers.is_free, ("example.com", "google.com", "mail.gmail.com", "")))
    assert len(providers.free_domains()) > 400


def test_no_free_domain_is_called_disposable() -> None:
    assert {domain for domain in load_providers().free_domains() if is_disposable(domain)} == set()


def test_the_documentation_shows_the_file() -> None:
    assert as_markdown(load_providers()) in PAGE.read_text(encoding="utf-8"), (
        "docs/reference/providers.md differs from domains/providers.toml; put the output of "
        "domains.provider_table.as_markdown(load_providers()) there"
    )
