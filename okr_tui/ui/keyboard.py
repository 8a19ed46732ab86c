"""Shortcuts under keyboard layouts of other scripts: which Latin key is at the position of a letter.

A terminal with the kitty keyboard protocol names the key of the base layout, which is remembered. For all
others there is a table of the common layouts; where two disagree, the one with more users wins.
"""

import unicodedata
from typing import Final

from textual.keys import _character_to_key

_LATIN: Final = "qwertyuiop[]asdfghjkl;'zxcvbnm,./`"
_LAYOUTS: Final = (
    ("йцукенгшщзхъфывапролджэячсмитьбю.ё", _LATIN),  # Russian
    ("іїєґўљњђјћџѕќѓ", "s]'\\oqw]j'xy'["),  # letters of other Cyrillic layouts
    ("ςερτυθιοπασδφγηξκλζχψωβνμ", "wertyuiopasdfghjklzxcvbnm"),  # Greek
    ("קראטוןםפשדגכעיחלךףזסבהנמצתץ", "ertyuiopasdfghjkl;zxcvbnm,."),  # Hebrew
    ("ضصثقفغعهخحجدشسيبلاتنمكطئءؤرىةوزظ", "qwertyuiop[]asdfghjkl;'zxcvnm,./"),  # Arabic
    ("یکگچپژ", "d;'[\\c"),  # Persian
    ("ㅂㅈㄷㄱㅅㅛㅕㅑㅐㅔㅁㄴㅇㄹㅎㅗㅓㅏㅣㅋㅌㅊㅍㅠㅜㅡ", "qwertyuiopasdfghjklzxcvbnm"),  # Korean
    ("ქწერტყუიოპასდფგჰჯკლზხცვბნმ", "qwertyuiopasdfghjklzxcvbnm"),  # Georgian
    ("ๆไำพะัีรนยบลฟหกดเ้่าสวงผปแอิืทมใฝ", _LATIN[:-1]),  # Thai
)
_SHIFTED: Final = dict(zip(",.;'[]/`\\", '<>:"{}?~|', strict=True))
_KNOWN: Final[dict[str, str]] = {}
for _letters, _keys in _LAYOUTS:
    for _letter, _key in zip(_letters, _keys, strict=True):
        if not _letter.isascii():
            _KNOWN.setdefault(_letter, _key)
_LEARNT: Final[dict[str, str]] = {}
_MOST_LEARNT: Final = 512


def learn_layout(letter: str, latin: str) -> None:
    """Remember the Latin key at the position of a letter, as the terminal named it."""
    if letter != latin and latin.isascii() and latin.isprintable() and len(_LEARNT) < _MOST_LEARNT:
        _LEARNT[letter] = latin


def latin_key(key: str) -> str | None:
    """Return the name of the key that a Latin layout has in place of `key`, such as "ctrl+q" for "ctrl+й".

    None where the key is a Latin one already, or its position is not known.
    """
    *modifiers, letter = key.split("+") if len(key) > 1 else [key]
    if len(letter) != 1:
        return None
    latin = _latin(letter)
    return None if latin is None else "+".join([*modifiers, _character_to_key(latin)])


def _latin(letter: str) -> str | None:
    if letter in _LEARNT:
        return _LEARNT[letter]
    if letter.isascii():
        return None
    if letter.isdecimal():
        return str(unicodedata.decimal(letter))
    lower = letter.lower()
    found = _LEARNT.get(lower) or _KNOWN.get(lower)
    if found is None or lower == letter:
        return found
    return _SHIFTED.get(found, found.upper())
