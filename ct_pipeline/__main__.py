"""``python -m ct_pipeline``: the same as ``ct-pipeline``."""

from ct_pipeline.cli import app

app(prog_name="ct-pipeline")
