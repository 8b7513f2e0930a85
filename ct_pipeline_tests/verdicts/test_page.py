"""docs/reference/verdicts.md shows what the code holds: sentences, Clearout's codes, the figures of the score."""

from pathlib import Path

import pytest

from ct_pipeline.verdicts import clearout_codes, score, wording

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "verdicts.md"


@pytest.mark.parametrize("module", [wording, clearout_codes, score])
def test_the_page_shows_the_table(module):
    name = module.__name__
    assert module.as_markdown() in PAGE.read_text(encoding="utf-8"), (
        f"docs/reference/verdicts.md differs from {name}; put the output of "
        f"python -c 'from {name} import as_markdown; print(as_markdown())' into it"
    )
