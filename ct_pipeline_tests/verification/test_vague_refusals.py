"""A refusal in vague words, on real sockets: of the name, or of us? An accepted name asked again tells."""

from ct_pipeline.domains.providers import RandomProbe
from ct_pipeline.verification.notebook import Observations
from ct_pipeline.verification.probe import ProbeKind
from ct_pipeline.vocabulary import Reason
from ct_pipeline_tests.verification.asking import domain, reasons
from ct_pipeline_tests.verification.scripted_host import Script, polite
from ct_pipeline_tests.verification.test_made_up_names import visit

OK = b"250 2.1.5 Ok\r\n"
NOPE = b"550 Nope\r\n"

tells_apart = polite(lambda address: OK if address.startswith(("live", "postmaster")) else NOPE)


def lets_in_for(count: int) -> Script:
    """Tells names apart for so many questions, then refuses everybody but postmaster."""
    left = count

    def rcpt(address: str) -> bytes:
        nonlocal left
        left -= 1
        return OK if address.startswith("postmaster") or (left >= 0 and address.startswith("live")) else NOPE

    return polite(rcpt, ("ENHANCEDSTATUSCODES", "PIPELINING"))


def definitive(page: Observations) -> set[int]:
    return {turn.address_id for turn in page.turns if turn.is_definitive}


def test_a_vague_refusal_counts_once_an_accepted_name_is_accepted_again():
    host, page = visit(tells_apart, domain("a.test", ["live1", "dead2", "dead3"]))
    assert [name.partition("@")[0] for name in host.asked()][-1] == "live1", "the witness"
    assert len(host.asked()) == 5
    assert definitive(page) == {1, 2, 3}
    assert [probe.address_id for probe in page.probes if probe.kind is ProbeKind.WITNESS] == [1]


def test_one_accepted_after_it_needs_no_witness():
    host, page = visit(tells_apart, domain("a.test", ["live1", "dead2", "live3"]))
    assert len(host.asked()) == 4
    assert definitive(page) == {1, 2, 3}


def test_a_host_that_begins_to_refuse_us_in_vague_words_condemns_nobody():
    names = [f"live{number}" for number in range(1, 30)]
    for count in (1, 2, 10):
        _, page = visit(lets_in_for(count), domain("a.test", names))
        unclear = {number for number, reason in reasons(page).items() if reason == Reason.UNCLEAR_REPLY}
        assert len(unclear) >= 20
        assert not definitive(page) & unclear


def test_that_postmaster_is_accepted_condemns_nobody():
    _, page = visit(lets_in_for(0), domain("a.test", ["live1", "live2", "live3"]))
    assert definitive(page) == set()


def test_a_witness_that_could_prove_nothing_is_not_asked():
    host, _ = visit(tells_apart, domain("a.test", ["live1", "dead2"], random_probe=RandomProbe.NEVER))
    assert len(host.asked()) == 2
