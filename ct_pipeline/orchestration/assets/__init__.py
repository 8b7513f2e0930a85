"""One file per stage: each asset reads, calls one stage function, and reports what came out."""
