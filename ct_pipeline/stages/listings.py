"""Are our addresses and domains on a block list? Each list is tried out first: not every answer is to be believed."""

import asyncio
from collections.abc import Sequence

from ct_pipeline.domains.block_lists import BlockList, ListOf, Standing, load_block_lists
from ct_pipeline.domains.networks import is_dialable
from ct_pipeline.domains.resolver import DnsResolver
from ct_pipeline.stages.finding import Finding, State

SUBJECT = "block lists"
_OWN_RESOLVER = (
    "Most lists refuse public resolvers: run a resolver of your own, such as Unbound, and name it in CT_NAMESERVERS. "
    "Barracuda also wants its address registered."
)


class Listings:
    """Looks things up on every list. Whether a list is to be believed is found out once."""

    def __init__(self, resolver: DnsResolver) -> None:
        self._resolver = resolver
        self._lists = load_block_lists()
        self._doubts: dict[str, str] | None = None  # by zone

    async def examine(self, addresses: Sequence[str], domains: Sequence[str]) -> list[Finding]:
        """Where ``addresses`` and ``domains`` are listed, and which lists could not be asked."""
        public = [address for address in addresses if is_dialable(address, ())]
        doubts = await self._find_doubts()
        subjects = [
            (one, subject)
            for one in self._lists
            if not doubts[one.zone]
            for subject in (public if one.of is ListOf.ADDRESS else domains)
            if one.name_for(subject) is not None
        ]
        asked = await asyncio.gather(*(self._look_up(one, subject) for one, subject in subjects))
        findings = [finding for finding in asked if finding.state is State.PROBLEM]
        if subjects and not findings:
            count = len({one.zone for one, _ in subjects})
            names = ", ".join(dict.fromkeys(subject for _, subject in subjects))
            findings.append(Finding(SUBJECT, State.OK, f"{names}: on none of the {count} that answer"))
        findings += [finding for finding in asked if finding.state is State.UNTESTED]
        return [*findings, *_not_asked(addresses, public), *self._not_believed(doubts)]

    async def _look_up(self, one: BlockList, subject: str) -> Finding:
        name = one.name_for(subject)
        assert name is not None
        answer = one.read(await self._resolver.ipv4_addresses(name))
        if answer.standing is Standing.UNKNOWN:
            return Finding(SUBJECT, State.UNTESTED, f"{one.title} says nothing of {subject}: {answer.what}")
        if answer.standing is Standing.CLEAN:
            return Finding(SUBJECT, State.OK, subject)
        mend = f"Find the cause and stop it, then ask for removal: {one.removal}"
        return Finding(SUBJECT, State.PROBLEM, f"{subject} is on {one.title}: {answer.what}", mend)

    async def _find_doubts(self) -> dict[str, str]:
        if self._doubts is None:
            found = await asyncio.gather(*map(self._try_out, self._lists))
            self._doubts = {one.zone: doubt for one, doubt in zip(self._lists, found, strict=True)}
        return self._doubts

    async def _try_out(self, one: BlockList) -> str:
        listed, clean = await asyncio.gather(
            self._resolver.ipv4_addresses(one.listed_name), self._resolver.ipv4_addresses(one.clean_name)
        )
        return one.doubts(listed, clean)

    def _not_believed(self, doubts: dict[str, str]) -> list[Finding]:
        by_doubt: dict[str, list[str]] = {}
        for one in self._lists:
            if doubts[one.zone]:
                by_doubt.setdefault(doubts[one.zone], []).append(one.title)
        what = "; ".join(f"{', '.join(titles)}: {doubt}" for doubt, titles in by_doubt.items())
        return [Finding(SUBJECT, State.UNTESTED, what, _OWN_RESOLVER)] if what else []


def _not_asked(addresses: Sequence[str], public: Sequence[str]) -> list[Finding]:
    private = [address for address in addresses if address not in public]
    if not private or public:
        return []
    mend = "Let the HELO name lead to the public address that hosts see: that one is looked up."
    return [Finding(SUBJECT, State.UNTESTED, f"{', '.join(private)} is not on the public internet", mend)]
