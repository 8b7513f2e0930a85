"""One function per stage: read the ledger, do the work, write the ledger. The CLI and Dagster call the same ones."""
