"""Blocking clients for the sandbox under test: what a stranger's SMTP, DNS and HTTP libraries make of it."""

import smtplib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dns.message
import dns.query
import httpx
import pytest

from ct_pipeline.sandbox.clevertap.profiles import AccountProfile
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator
from ct_pipeline.sandbox.internet import Sandbox

EVERYONE = {
    "common_profile_properties": {"profile_fields": [{"name": "Email", "operator": "contains", "value": "@"}]},
}


@contextmanager
def smtp_session(sandbox: Sandbox, host: str) -> Iterator[smtplib.SMTP]:
    """A session with ``host`` after EHLO and MAIL; the connection is closed at the end, whatever happened."""
    client = smtplib.SMTP(sandbox.host_address(host), sandbox.smtp_port, timeout=10)
    try:
        client.ehlo("prober.ct-sandbox.test")
        assert client.mail("probe@ct-sandbox.test", ["SMTPUTF8"] if client.has_extn("smtputf8") else [])[0] == 250
        yield client
    finally:
        client.close()


@pytest.fixture
def session() -> Callable:
    return smtp_session


@pytest.fixture
def ask_dns() -> Callable[..., dns.message.Message]:
    def ask(sandbox: Sandbox, name: str, rdtype: str, *, tcp: bool = False, edns: bool = True) -> dns.message.Message:
        query = dns.message.make_query(name, rdtype, use_edns=0 if edns else False)
        address, _, port = sandbox.nameserver.partition(":")
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, address, timeout=5, port=int(port))

    return ask


@pytest.fixture
def account() -> Iterator[Callable[..., "AccountClient"]]:
    """Opens a simulated CleverTap account, and a stranger's HTTP client that knows its passcode."""
    with ExitStack() as opened:

        def open_account(*profiles: AccountProfile, **settings: Any) -> AccountClient:
            clevertap = opened.enter_context(CleverTapSimulator(profiles, **settings).run_in_thread())
            http = opened.enter_context(httpx.Client(base_url=clevertap.base_url, headers=passport(clevertap)))
            return AccountClient(clevertap, http)

        yield open_account


def passport(clevertap: CleverTapSimulator) -> dict[str, str]:
    access = clevertap.account.access
    return {"X-CleverTap-Account-Id": access.project_id, "X-CleverTap-Passcode": access.passcode}


@dataclass
class AccountClient:
    clevertap: CleverTapSimulator
    http: httpx.Client

    def get(self, url: str) -> httpx.Response:
        """The URL goes onto the wire as it is."""
        return self.http.get(url)

    def post(self, url: str, body: object) -> httpx.Response:
        return self.http.post(url, json=body)

    def upload(self, *records: dict[str, Any], url: str = "/1/upload") -> dict[str, Any]:
        answer = self.post(url, {"d": records})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def set_properties(self, identity: str, /, **properties: object) -> dict[str, Any]:
        return self.upload({"type": "profile", "identity": identity, "profileData": properties})

    def subscription(self, *changes: tuple[str, str]) -> dict[str, Any]:
        """Changes are (address, status)."""
        records = [{"type": "email", "value": address, "status": status} for address, status in changes]
        return self.upload(*records, url="/1/subscribe")

    def pages(
        self, query: dict[str, Any], path: str = "/1/profiles.json", options: str = "batch_size=5000"
    ) -> list[list]:
        """The records of every page; pages that are not ready are asked for again."""
        cursor = self.post(f"{path}?{options}", query).json()["cursor"]
        pages = []
        while cursor is not None:
            page = self.get(f"{path}?cursor={cursor}").json()
            if page.get("code") == 2:
                continue
            assert page["status"] == "success", page
            pages.append(page["records"])
            cursor = page.get("next_cursor")
        return pages

    def everyone(self) -> list[dict[str, Any]]:
        return [record for page in self.pages(EVERYONE) for record in page]

    def today(self) -> int:
        """As queries write it."""
        access = self.clevertap.account.access
        return int(datetime.fromtimestamp(self.clevertap.account.now(), access.zone).strftime("%Y%m%d"))

    def subscription_events(self) -> list[dict[str, Any]]:
        query = {"event_name": "Channel Unsubscribed", "from": self.today(), "to": self.today()}
        return [record for page in self.pages(query, "/1/events.json") for record in page]
