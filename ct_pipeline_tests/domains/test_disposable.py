import pytest

from ct_pipeline.domains.disposable import is_disposable


@pytest.mark.parametrize("domain", ["mailinator.com", "Mailinator.com", "team.mailinator.com", "a.b.yopmail.com"])
def test_throw_away_services_and_names_below_them(domain: str) -> None:
    assert is_disposable(domain)


@pytest.mark.parametrize(
    "domain", ["gmail.com", "example.com", "com", "", "xmailinator-lookalike.com", "mailinator.com.example", "sify.com"]
)
def test_others(domain: str) -> None:
    assert not is_disposable(domain)
