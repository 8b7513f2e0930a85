"""Names and words of many languages, for training: the providers of Faker (MIT), and syllables where it has few names.

What is held out of training is chosen by a hash of the name, so that it does not change when lists grow.
"""

import importlib
import itertools
import pkgutil
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from ct_pipeline_tests.addresses.local_parts import NameList
from ct_pipeline_tests.benchmarks.transliteration import in_latin_letters, words

HELD_OUT_OF = 5  # one name of five is kept out of training
LEAST_NAMES = 15
# Names that stand in other scripts, or that Faker has too few of: syllables, joined as these languages join them.
PINYIN = [
    onset + rime
    for onsets, rimes in (
        ("- ", "a ai an ang ao e en er o ou yi ya yan yang yao ye yin ying yong you yu yuan yue yun"),
        ("- ", "wa wai wan wang wei wen weng wo wu"),
        ("b p m", "a ai an ang ao ei en eng i ian iao ie in ing o u"),
        ("f", "a an ang ei en eng o ou u"),
        ("d t n l", "a ai an ang ao e eng i ian iao ie ing ong ou u uan uo"),
        ("n l", "iang in iu ei"),
        ("g k h", "a ai an ang ao e en eng ong ou u ua uai uan uang ui un uo"),
        ("j q x", "i ia ian iang iao ie in ing iong iu u uan ue un"),
        ("zh ch sh r z c s", "a ai an ang ao e en eng i ou u uan ui un uo"),
        ("zh ch r z c s", "ong"),
        ("zh ch sh", "uang"),
    )
    for onset in words(onsets)
    for rime in words(rimes)
]
KANA = [
    onset + vowel
    for onset, vowels in {
        "": "aiueo", "k": "aiueo", "s": "aueo", "sh": "iuo", "t": "aeo", "ch": "iu", "ts": "u", "n": "aiueo",
        "h": "aieo", "f": "u", "m": "aiueo", "y": "auo", "r": "aiueo", "w": "a", "g": "aiueo", "z": "aueo", "j": "iu",
        "d": "aeo", "b": "aiueo",
    }.items()
    for vowel in vowels
]  # fmt: skip
VIETNAMESE = [
    onset + rime
    for onset, rime in itertools.product(
        words("b c ch d gi h k kh l m n ng ngh nh ph qu r s t th tr v x"),
        words(
            "a ac ai am an ang anh ao at au ay e en eo et i ia ich iem ien ieu im in inh it o oa oan oang oc oi on "
            "ong u ua uan uc ui un ung uoc uoi uong ut uu uy uyen uyet y"
        ),
    )
]


def languages() -> dict[str, NameList]:
    """Every language, by Faker's name of its locale."""
    found: dict[str, NameList] = {}
    nouns = {name: _latin(_words(module)) for name, module in _providers("lorem")}
    cities = {name: _latin(_lists(module, ("cit", "town"))) for name, module in _providers("address")}
    for name, module in _providers("person"):
        first = _latin(_lists(module, ("first", "given")))
        last = _latin(_lists(module, ("last", "family")))
        if len(first) >= LEAST_NAMES and len(last) >= LEAST_NAMES:
            like = "en_US" if name.startswith("en") else name
            found[name] = NameList(first, last, nouns.get(like, []) + cities.get(name, []))
    found["zh_CN"] = _joined(PINYIN, found.get("zh_CN"))
    found["ja_JP"] = _joined([a + b for a, b in itertools.product(KANA, KANA)], found.get("ja_JP"))
    found["vi_VN"] = _joined(VIETNAMESE, found.get("vi_VN"))
    return found


def split(names: NameList, *, is_held_out: bool) -> NameList:
    """The part of ``names`` that is trained with, or the part that is held out. Words are all trained with."""
    first, last = ([name for name in part if is_held_out_name(name) is is_held_out] for part in names[:2])
    return NameList(first, last, () if is_held_out else names.words)


def without(names: NameList, left_out: Collection[str]) -> NameList:
    """``names`` but for those ``left_out``."""
    first, last, nouns = ([name for name in part if name not in left_out] for part in names)
    return NameList(first, last, nouns)


def is_held_out_name(name: str) -> bool:
    return zlib.crc32(name.encode()) % HELD_OUT_OF == 0


def _joined(syllables: list[str], known: NameList | None) -> NameList:
    """Given names of two syllables, family names of one, beside the names that are known."""
    pairs = [a + b for number, (a, b) in enumerate(itertools.product(syllables, syllables)) if number % 97 == 0]
    known = known or NameList((), ())
    return NameList([*known.first, *pairs], [*known.last, *syllables], known.words)


def _providers(kind: str) -> Iterator[tuple[str, Any]]:
    package = importlib.import_module(f"faker.providers.{kind}")
    for module in pkgutil.iter_modules(package.__path__):
        yield module.name, importlib.import_module(f"{package.__name__}.{module.name}").Provider


def _lists(provider: Any, parts: Iterable[str]) -> list[str]:
    """All texts of the provider's lists whose name holds one of ``parts``; weighted lists and pairs alike."""
    found: list[str] = []
    for name in sorted(dir(provider)):
        values = getattr(provider, name)
        if any(part in name for part in parts) and isinstance(values, (tuple, list, dict)):
            found += [value if isinstance(value, str) else value[-1] for value in values if value]
    return [text for text in found if isinstance(text, str) and "{" not in text]


def _words(provider: Any) -> list[str]:
    return list(getattr(provider, "word_list", ()))


def _latin(texts: Iterable[str]) -> list[str]:
    """In Latin letters, each once, sorted; of three letters or more."""
    spelt = {in_latin_letters(text) for text in texts}
    return sorted(text for text in spelt if 3 <= len(text) <= 20)
