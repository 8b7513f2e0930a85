"""Names of other scripts as their bearers spell them in addresses: plain Latin letters."""

import re
import unicodedata


def words(text: str) -> list[str]:
    """The words of ``text``; ``-`` stands for the empty one."""
    return ["" if word == "-" else word for word in text.split()]


_LETTERS = str.maketrans({
    "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ø": "o", "œ": "oe", "æ": "ae", "ß": "ss", "ı": "i", "ə": "e", "ħ": "h",
    # Cyrillic: Russian, Ukrainian, Bulgarian, Macedonian
    "а": "a", "б": "b", "в": "v", "г": "g", "ґ": "g", "ѓ": "gj", "д": "d", "ђ": "dj", "е": "e", "є": "ye", "ж": "zh",
    "з": "z", "ѕ": "dz", "и": "i", "і": "i", "ј": "j", "к": "k", "л": "l", "љ": "lj", "м": "m", "н": "n", "њ": "nj",
    "о": "o", "п": "p", "р": "r", "с": "s", "т": "t", "ќ": "kj", "у": "u", "ф": "f", "х": "kh", "ц": "ts", "ч": "ch",
    "џ": "dz", "ш": "sh", "щ": "shch", "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
    # Greek
    "α": "a", "β": "v", "γ": "g", "δ": "d", "ε": "e", "ζ": "z", "η": "i", "θ": "th", "ι": "i", "κ": "k", "λ": "l",
    "μ": "m", "ν": "n", "ξ": "x", "ο": "o", "π": "p", "ρ": "r", "σ": "s", "ς": "s", "τ": "t", "υ": "y", "φ": "f",
    "χ": "ch", "ψ": "ps", "ω": "o",
})  # fmt: skip
# Devanagari: a consonant carries an a unless a sign follows; the a at the end of a word is silent.
_DEVANAGARI_CONSONANTS = dict(
    zip(
        "कखगघङचछजझञटठडढणतथदधनपफबभमयरलवशषसहळ",
        words("k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l v sh sh s h l"),
        strict=True,
    )
)
_DEVANAGARI_SIGNS = dict(zip("ािीुूृेैोौंँः", words("a i i u u ri e ai o au n n h"), strict=True))
_DEVANAGARI_VOWELS = dict(zip("अआइईउऊऋएऐओऔ", words("a a i i u u ri e ai o au"), strict=True))
_VIRAMA = "्"
# Hangul: revised romanisation of 2000, without the rules for neighbouring syllables.
_HANGUL_FIRST = words("g kk n d tt r m b pp s ss - j jj ch k t p h")
_HANGUL_VOWEL = words("a ae ya yae eo e yeo ye o wa wae oe yo u wo we wi yu eu ui i")
_HANGUL_LAST = words("- k k ks n nj nh t l lk lm lp ls lt lp lh m p ps t t ng t t k t p t")


def in_latin_letters(name: str) -> str:
    """``name`` as lower-case a to z; empty when a letter of it has no known spelling."""
    name = name.lower()
    if any("\uac00" <= letter <= "\ud7a3" for letter in name):
        name = "".join(_hangul(letter) for letter in name)
    if any("\u0900" <= letter <= "\u097f" for letter in name):
        name = _devanagari(name)
    folded = unicodedata.normalize("NFKD", name.translate(_LETTERS)).translate(_LETTERS)
    plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
    plain = re.sub(r"[ '’`\-.\u200d]", "", plain)
    return plain if re.fullmatch("[a-z]+", plain) else ""


def _hangul(syllable: str) -> str:
    number = ord(syllable) - 0xAC00
    if not 0 <= number < 11172:
        return syllable
    return _HANGUL_FIRST[number // 588] + _HANGUL_VOWEL[number % 588 // 28] + _HANGUL_LAST[number % 28]


def _devanagari(word: str) -> str:
    spelt: list[str] = []
    for letter, following in zip(word, word[1:] + " ", strict=True):
        if letter in _DEVANAGARI_CONSONANTS:
            is_bare = following in _DEVANAGARI_SIGNS or following == _VIRAMA or following == " "
            spelt.append(_DEVANAGARI_CONSONANTS[letter] + ("" if is_bare else "a"))
        else:
            spelt.append((_DEVANAGARI_SIGNS | _DEVANAGARI_VOWELS).get(letter, "" if letter in _VIRAMA + "़" else letter))
    return "".join(spelt)
