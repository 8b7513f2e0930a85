"""The rules of the house, read off the source: who may import whom, and which modules are pure.

A part is a folder of ``ct_pipeline`` or a module directly in it. The rules look at the text, so an import inside a
function counts as much as one at the top.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ct_pipeline"
MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))

FOUNDATION = {"vocabulary", "errors", "setting_values", "verifying_settings", "settings", "atomic_files"}
PURE_PARTS = {"addresses", "verdicts"}
WAY = {"clevertap", "from_clevertap", "domains", "verification", "to_clevertap"}
MAY_IMPORT = {
    "__init__": set(),
    "__main__": {"cli"},
    "vocabulary": set(),
    "errors": set(),
    "setting_values": set(),
    "verifying_settings": {"errors", "vocabulary", "setting_values"},
    "settings": {"errors", "vocabulary", "setting_values", "verifying_settings"},
    "atomic_files": {"errors"},
    "addresses": FOUNDATION,
    "verdicts": FOUNDATION | {"addresses"},
    "clevertap": FOUNDATION,
    "from_clevertap": FOUNDATION | PURE_PARTS | {"clevertap"},
    "domains": FOUNDATION | PURE_PARTS,
    "verification": FOUNDATION | PURE_PARTS | {"domains"},
    "to_clevertap": FOUNDATION | PURE_PARTS | {"clevertap", "from_clevertap"},
    # the ledger keeps the records of these parts; the test below holds it to the modules that define records
    "storage": FOUNDATION | PURE_PARTS | {"clevertap", "from_clevertap", "domains", "verification", "to_clevertap"},
    "sandbox": FOUNDATION,
    "stages": FOUNDATION | PURE_PARTS | WAY | {"storage"},
    "orchestration": FOUNDATION | PURE_PARTS | WAY | {"storage", "stages", "definitions", "sandbox"},
    "definitions": {"orchestration"},
    "cli": FOUNDATION | PURE_PARTS | WAY | {"storage", "stages", "orchestration", "sandbox"},
}
# What the ledger and the lake may know of the parts whose findings they keep: records, never behaviour.
RECORD_MODULES = {
    "ct_pipeline.clevertap.records",
    "ct_pipeline.domains.facts",
    "ct_pipeline.from_clevertap.contact_rows",
    "ct_pipeline.from_clevertap.profile_rows",
    "ct_pipeline.to_clevertap.changes",
    "ct_pipeline.verdicts.columns",
    "ct_pipeline.verdicts.evidence",
    "ct_pipeline.verdicts.verdict",
    "ct_pipeline.verification.lane_summary",
    "ct_pipeline.verification.probe",
    "ct_pipeline.verification.site_memory",
}
MAY_IMPORT_DAGSTER = re.compile(r"orchestration/.*|definitions\.py|cli/(dev|demo)\.py")

# Modules of these parts do no I/O and read no clock, but for those that name their reason here.
PURE_BUT_FOR = {
    "addresses": set(),
    "clevertap": {"client.py", "wire.py"},  # speak HTTP
    "verdicts": set(),
    "domains": {"lookup.py", "resolver.py"},  # ask name servers
    "verification": {
        "connection.py",
        "exchange.py",
        "opening.py",
        "outbound.py",
        "reply_stream.py",
        "site_gate.py",
        "site_run.py",
        "surroundings.py",
    },  # converse, in time
    "from_clevertap": set(),  # read files as streams, but neither clock nor network
    "to_clevertap": set(),  # write files
}
IMPURE = {
    *("asyncio", "socket", "ssl", "select", "selectors", "threading", "multiprocessing", "subprocess", "signal"),
    *("time", "http", "urllib.request", "httpx", "aiosmtplib", "smtplib", "python_socks", "psycopg", "sqlalchemy"),
    *("dns.asyncresolver", "dns.resolver", "dns.query", "dns.asyncquery"),
}
CLOCK_READINGS = {"now", "utcnow", "today"}


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_one_way(module: str) -> None:
    part = part_of(module)
    assert part in MAY_IMPORT, f"a new part of the package: say here what {part} may import"
    others = {part_of_name(name) for name in imports(module) if name.startswith("ct_pipeline.")} - {part}
    assert others <= MAY_IMPORT[part]


def test_the_allowed_arrows_form_no_circle() -> None:
    """But for definitions, which orchestration hands to the processes it starts."""
    left = {part: targets - {"definitions"} for part, targets in MAY_IMPORT.items()}
    while left:
        leaves = {part for part, targets in left.items() if not targets & left.keys()}
        assert leaves, f"a circle among {sorted(left)}"
        left = {part: targets for part, targets in left.items() if part not in leaves}


def test_the_ledger_knows_records_and_no_behaviour_of_other_parts() -> None:
    for module in modules_of("storage"):
        foreign = {name for name in ct_pipeline_modules(module) if part_of_name(name) not in FOUNDATION | {"storage"}}
        assert foreign <= RECORD_MODULES, module


def test_the_simulated_account_knows_nothing_of_mail_hosts_and_their_people() -> None:
    account = "ct_pipeline.sandbox.clevertap."
    modules = [module for module in MODULES if module.startswith("sandbox/clevertap/")]
    assert len(modules) > 10
    for module in modules:
        sandbox = {name for name in ct_pipeline_modules(module) if part_of_name(name) == "sandbox"}
        assert {name for name in sandbox if not name.startswith(account)} <= {"ct_pipeline.sandbox.in_thread"}, module


def test_only_orchestration_imports_dagster() -> None:
    importing = {module for module in MODULES if any(top(name).startswith("dagster") for name in imports(module))}
    assert importing, "the rule looks at nothing"
    assert {module for module in importing if not MAY_IMPORT_DAGSTER.fullmatch(module)} == set()


@pytest.mark.parametrize("part", PURE_BUT_FOR)
def test_pure_modules_do_no_io_and_read_no_clock(part: str) -> None:
    modules = [module for module in modules_of(part) if Path(module).name not in PURE_BUT_FOR[part]]
    assert modules
    for module in modules:
        impure = {name for name in imports(module) if name in IMPURE or top(name) in IMPURE}
        assert impure == set(), module
        assert clock_readings(module) == [], module


def test_only_storage_speaks_sql() -> None:
    statement = (
        r"\s*(select\s.*\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|copy\s+\S+\s+(from|to)|create\s+table)\s"
    )
    sql = re.compile(statement, re.IGNORECASE | re.DOTALL)
    speaking = {part_of(module) for module in MODULES if any(sql.match(text) for text in literals(module))}
    assert speaking == {"storage"}


def test_no_verifier_module_holds_the_data_command() -> None:
    """A message cannot be sent by accident: the words that would start one are nowhere to be sent."""
    start_of_message = re.compile(r"(DATA|BDAT)([ \t].*)?\r?\n?", re.IGNORECASE | re.DOTALL)
    modules = modules_of("verification") + modules_of("stages")
    assert len(modules) > 5
    for module in modules:
        assert [text for text in literals(module) if start_of_message.fullmatch(text)] == [], module
        assert attributes(module) & {"data", "sendmail", "send_message"} == set(), module


# -- reading the source ---


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((PACKAGE / module).read_text(encoding="utf-8"), module)


def imports(module: str) -> set[str]:
    """Full names of what ``module`` imports, as ``package.module`` and as ``package.module.name``."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative import"
            assert node.module is not None
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def ct_pipeline_modules(module: str) -> set[str]:
    """Modules of the package that ``module`` imports, or imports from."""
    return {name for name in imports(module) if (PACKAGE.parent / (name.replace(".", "/") + ".py")).is_file()}


def modules_of(part: str) -> list[str]:
    return [module for module in MODULES if part_of(module) == part and module.count("/")]


def part_of(module: str) -> str:
    """``verification`` of ``verification/probe.py``, ``errors`` of ``errors.py``."""
    return module.split("/")[0].removesuffix(".py")


def part_of_name(name: str) -> str:
    """``verification`` of ``ct_pipeline.verification.probe``."""
    return name.split(".")[1]


def top(name: str) -> str:
    return name.split(".")[0]


def literals(module: str) -> Iterator[str]:
    """Every str or bytes literal, parts of f-strings included."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Constant) and isinstance(node.value, bytes):
            yield node.value.decode("latin-1")


def attributes(module: str) -> set[str]:
    """Names of the methods called."""
    calls = (node.func for node in ast.walk(tree(module)) if isinstance(node, ast.Call))
    return {function.attr for function in calls if isinstance(function, ast.Attribute)}


def clock_readings(module: str) -> list[str]:
    """Calls such as ``datetime.now(UTC)`` and ``date.today()``."""
    return [
        ast.unparse(node)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute)
        and node.attr in CLOCK_READINGS
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date"}
    ]
