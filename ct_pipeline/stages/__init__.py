"""One function per stage of the data's way: read the ledger, do the work, write the ledger. The CLI and Dagster call these."""
