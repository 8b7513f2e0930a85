"""Whether DNS bears out the names that our egresses say in EHLO: each leads to an address, and the address back to it.

RFC 5321 section 4.1.1.1 wants a name that resolves; large providers refuse an address whose reverse DNS names another
machine. So nobody is asked before it is right: a whole list would be asked in vain, and our address remembered for it.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ct_pipeline.domains.answers import MAX_HOST_ADDRESSES, NamesAnswer, Outcome
from ct_pipeline.domains.networks import is_dialable
from ct_pipeline.domains.resolver import DnsResolver
from ct_pipeline.errors import NameServersUnavailableError, SettingsError
from ct_pipeline.settings import Settings
from ct_pipeline.stages.egress_file import EgressRow
from ct_pipeline.stages.egresses import Egresses

_FORCE = "CT_HELO_UNCHECKED=true verifies all the same, but many hosts will turn us away."


@dataclass(frozen=True, slots=True)
class HeloName:
    """What DNS says of the HELO name of one egress. ``mend`` is empty when it is right, or nothing could be learnt.

    ``addresses`` are what the world sees us come from, as far as DNS tells: the source address where it is public, else
    those of the name.
    """

    what: str
    mend: str = ""
    is_unanswered: bool = False  # the name servers did not say
    addresses: tuple[str, ...] = ()


def refuse_unfit_helo_names(settings: Settings, egresses: Egresses, lanes: Collection[str]) -> None:
    """Look up the name of each egress that ``lanes`` are bound to. With ``CT_HELO_UNCHECKED`` nothing is looked up.

    Raises:
        SettingsError: a name does not resolve, or reverse DNS does not lead back to it.
        NameServersUnavailableError: DNS did not say.
    """
    rows = egresses.rows_for(lanes)
    if settings.helo_unchecked or not rows:
        return
    found = asyncio.run(_look_up_all(rows, settings))
    if unfit := [(row, name) for row, name in zip(rows, found, strict=True) if name.mend]:
        faults = [f"{row.setting('helo_name')}: {name.what}. {name.mend}" for row, name in unfit]
        raise SettingsError("\n".join([*faults, _FORCE]))
    if unanswered := [(row, name) for row, name in zip(rows, found, strict=True) if name.is_unanswered]:
        faults = [f"{row.setting('helo_name')}: {name.what}. Nobody is asked before it is." for row, name in unanswered]
        raise NameServersUnavailableError("\n".join(faults))


async def look_up_helo_name(row: EgressRow, resolver: DnsResolver) -> HeloName:
    """What DNS says of the HELO name of ``row``, with the mend where it is wrong."""
    name, source = row.egress.envelope.helo_name, row.egress.source_address
    if "." not in name or name.endswith((".localdomain", ".local")):
        mend = f"Set {row.setting('helo_name')} to this machine's public name, such as verify.your-company.com."
        return HeloName(f"{name!r} is no public name", mend)
    forward = await resolver.addresses(name.rstrip("."))
    if forward.outcome.is_temporary:
        return HeloName(f"{name} could not be looked up: {forward.detail}", is_unanswered=True)
    if forward.outcome is not Outcome.RECORDS:
        mend = f"Add an A record for {name} that points to {source or 'the public address we connect from'}."
        return HeloName(f"{name} does not resolve: {forward.detail or 'no address'}", mend)
    addresses = forward.addresses[:MAX_HOST_ADDRESSES]
    if source is not None and is_dialable(source, ()):
        addresses = (source,)  # behind NAT it is private, and only the name tells the public one
    return _compare(name, addresses, await asyncio.gather(*map(resolver.names_of, addresses)))


def _compare(name: str, addresses: tuple[str, ...], answers: Sequence[NamesAnswer]) -> HeloName:
    ours = name.lower().rstrip(".")
    if any(ours in answer.names for answer in answers):
        return HeloName(f"{name} is {', '.join(addresses)}, and the way back agrees", addresses=addresses)
    failed = [
        f"the reverse DNS of {address} could not be looked up: {answer.detail}"
        for address, answer in zip(addresses, answers, strict=True)
        if answer.outcome.is_temporary
    ]
    if failed:
        return HeloName("; ".join(failed), is_unanswered=True, addresses=addresses)
    points = ", ".join(other for answer in answers for other in answer.names) or "nothing"
    what = f"{name} is {', '.join(addresses)}, whose reverse DNS is {points}"
    mend = f"Ask whoever gave you {addresses[0]} to set its reverse DNS (PTR) to {name}."
    return HeloName(what, mend, addresses=addresses)


async def _look_up_all(rows: Sequence[EgressRow], settings: Settings) -> list[HeloName]:
    resolver = DnsResolver(settings)
    return list(await asyncio.gather(*(look_up_helo_name(row, resolver) for row in rows)))
