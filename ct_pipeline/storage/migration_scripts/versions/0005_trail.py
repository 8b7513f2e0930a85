"""The way back from an address, and from a domain, to everything that was ever asked about it.

Each probe is in one of the two indexes. What that costs the verifier's writes, and what it weighs, is in
``docs/reference/benchmarks.md``; erasing an address needs the same way.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TRAIL = """
create index probes_address_id on ledger.probes (address_id) where address_id is not null;
create index probes_of_domain on ledger.probes (domain_id, asked_at) where address_id is null;
comment on index ledger.probes_of_domain is 'made-up names, postmaster, and sessions that were refused';
"""


def upgrade() -> None:
    op.execute(TRAIL)
