"""What somebody meant who typed with the other keyboard layout on: «ljcnfdrf» is «доставка», «шзрщту» is “iphone”."""

_LATIN = "`qwertyuiop[]asdfghjkl;'zxcvbnm,."
_RUSSIAN = "ёйцукенгшщзхъфывапролджэячсмитьбю"
_TO_RUSSIAN = str.maketrans(_LATIN + _LATIN.upper() + '~{}:"<>', _RUSSIAN + _RUSSIAN.upper() + "ЁХЪЖЭБЮ")
_TO_LATIN = str.maketrans(_RUSSIAN + _RUSSIAN.upper(), _LATIN + _LATIN.upper())


def switched(text: str) -> str | None:
    """None: there are letters of both, or of neither."""
    latin = any("a" <= letter <= "z" for letter in text.lower())
    russian = any("а" <= letter <= "я" or letter == "ё" for letter in text.lower())
    if latin == russian:
        return None
    return text.translate(_TO_RUSSIAN if latin else _TO_LATIN)
