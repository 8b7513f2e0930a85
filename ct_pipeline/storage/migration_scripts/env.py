"""Runs the ledger's migrations over the connection that ``storage/migrations.py`` hands in."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema="ledger", transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
connection.commit()
