"""Evidence in, verdict out: judge, wording, list columns (pure)."""
