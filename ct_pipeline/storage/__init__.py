"""The ledger (Postgres), the embedded server, the lake (Parquet)."""
