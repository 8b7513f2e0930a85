"""docs/reference/sandbox.md and the simulator say the same. This writes its tables anew::

python ct_pipeline_tests/sandbox/test_reference.py
"""

import json
import re
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ct_pipeline.sandbox.clevertap.api import ClevertapApi
from ct_pipeline.sandbox.clevertap.faults import Faults, Switches
from ct_pipeline.sandbox.clevertap.server import application
from ct_pipeline.sandbox.clevertap.simulator import CleverTapSimulator

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "sandbox.md"
TABLES: dict[str, type[BaseModel]] = {"faults": Faults, "switches": Switches}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_are_up_to_date(name: str) -> None:
    assert table_in(REFERENCE.read_text(), name) == table(TABLES[name]), (
        "Write them anew with `python ct_pipeline_tests/sandbox/test_reference.py`."
    )


@pytest.mark.parametrize("model", TABLES.values())
def test_every_setting_says_what_it_means(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert (field.description or "").endswith("."), name
        assert "|" not in (field.description or ""), name


def test_every_path_is_there() -> None:
    simulator = CleverTapSimulator()
    api = ClevertapApi(simulator.account, simulator.faults, simulator.log)
    ours = {getattr(route, "path", "") for route in application(api).routes} - {"/{path:path}"}
    named = set(re.findall(r"(?<!\w)(/(?:1|v1|sandbox)/[a-z./-]*[a-z])", REFERENCE.read_text()))
    assert named == set(api.paths) | ours


def table(model: type[BaseModel]) -> str:
    rows = [("name", "default", "values", "meaning"), ("---", "---", "---", "---")]
    for name, field in model.model_fields.items():
        rows.append((f"`{name}`", f"`{written(field.default)}`", values(field), field.description or ""))
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)


def values(field: FieldInfo) -> str:
    """What the setting may be, in words."""
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{written(value)}`" for value in get_args(field.annotation))
    kinds = {bool: "`true` or `false`", str: "text", int: "a whole number", float: "a number"}
    bounds = {type(bound).__name__: getattr(bound, type(bound).__name__.lower()) for bound in field.metadata}
    if bounds == {"Ge": 0, "Le": 1}:
        return "a rate, 0 to 1"
    if field.annotation is float and "Ge" in bounds:
        return "seconds"
    return kinds.get(
        field.annotation or str, "a whole number, or `null`" if "int" in str(field.annotation) else "a list"
    )


def written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def table_in(text: str, name: str) -> str:
    match = re.search(rf"<!-- {name}: begin .*? -->\n(.*?)<!-- {name}: end -->", text, re.DOTALL)
    assert match is not None
    return match[1]


if __name__ == "__main__":
    reference = REFERENCE.read_text()
    for name, model in TABLES.items():
        before, end = f"<!-- {name}: begin", f"<!-- {name}: end -->"
        head, _, rest = reference.partition(before)
        first_line, _, rest = rest.partition("\n")
        reference = f"{head}{before}{first_line}\n{table(model)}{end}{rest.partition(end)[2]}"
    REFERENCE.write_text(reference)
