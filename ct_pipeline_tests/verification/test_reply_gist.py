"""What is left of a reply's text when names, hosts and numbers are taken out."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ct_pipeline.verification import reply_gist
from ct_pipeline.verification.reply_gist import MAX_GIST_CHARACTERS, GistMaker, enhanced_in

GISTS = GistMaker(names=["spamhaus", "(?<=p=)nosuchuser"], codes=["ib[0-9]{3}"])


@pytest.mark.parametrize(
    ("text", "gist"),
    [
        ("<Joe.Doe@Shop.example>: User Unknown", "<addr>: user unknown"),
        ("joe@shop.example is gone", "addr is gone"),
        ("host mx1.shop.example[192.0.2.1] said: no", "no"),
        ("host mx1.shop.example[192.0.2.1]: not found", "host host[#]: not found"),  # of a host, not from one
        ("SMTP error from remote mail server after RCPT TO:<a@b.example>: host mx.b.example [192.0.2.1]: 550 no", "no"),
        ("Remote server returned '550 5.1.1 no such user'", "no such user'"),
        ("550 550-5.7.1 no\n550 never", "no never"),
        ("said 550-Sender verify failed", "said sender verify failed"),
        ("blocked using zen.spamhaus.org", "blocked using spamhaus"),
        ("https://www.spamhaus.org/query/ip/192.0.2.1 says so", "spamhaus says so"),
        ("see https://support.google.com/mail/?p=NoSuchUser a1-b2c3.45 - gsmtp", "see nosuchuser # - gsmtp"),
        ("refused. IB112.", "refused. ib112"),
        ("refused (S3150)", "refused (#)"),
        ("it doesn’t  exist\nhere", "it doesn't exist here"),
        ("RESOLVER.ADR.RecipientNotFound; not found", "resolver.adr.recipientnotfound; not found"),
        ("", ""),
    ],
)
def test_gist(text, gist):
    assert GISTS.gist(text) == gist


@given(st.text(max_size=3000))
def test_gists_are_short_lower_case_and_on_one_line(text):
    gist = GISTS.gist(text)
    assert "\n" not in gist
    assert gist == gist.strip()
    assert len(gist) <= 6 * MAX_GIST_CHARACTERS  # "<>" becomes "<addr>", and lower case may be longer


FRAGMENTS = [*"ab1@.<>-_()[]: \n\t", "host", ".com", ".net", "a.b", "é", "user@", "mx1.", "192.0.2.1", "x" * 70]


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=30).map("".join))
def test_what_is_taken_out_from_the_first_word_on_is_all_there_is(text):
    """Nothing that an address, a host name or a word with digits needs stands before the word that is begun with."""
    everywhere = reply_gist._ANGLED.sub("<addr>", text)
    for pattern, mark in ((reply_gist._ADDRESS, "addr"), (reply_gist._HOST, "host"), (reply_gist._NUMBERED, "#")):
        everywhere = pattern.sub(mark, everywhere)
    without_codes = reply_gist._CODES_IN_FRONT.sub("", text)
    assume(without_codes == text and "remote " not in text and not text.startswith("host "))
    assert GISTS.gist(text) == " ".join(everywhere.split())


@pytest.mark.parametrize(
    ("code", "text", "enhanced"),
    [
        (550, "#5.1.0 Address rejected", "5.1.0"),
        (550, "sorry, no mailbox here by that name (#5.1.1)", "5.1.1"),
        (550, "5.1.1 unknown", "5.1.1"),
        (450, "5.1.1 unknown", ""),
        (550, "5.1.1.4 is an address", ""),
        (550, "your version 5.1.1 is old", ""),
        (0, "connection lost", ""),
    ],
)
def test_enhanced_code_in_the_text(code, text, enhanced):
    assert enhanced_in(code, text) == enhanced
