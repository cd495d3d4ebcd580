"""Names of columns as identifiers of a programming language, and as text that cannot end a comment."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Sequence

# C99 promises 63 significant characters, MATLAB 63; a number may be appended, and functions have a prefix.
_LONGEST = 40


def identifiers(names: Sequence[str], reserved: Collection[str] = ()) -> list[str]:
    """A different identifier for each name: letters without accents, digits and single underscores.

    Names that differ in capital letters only get different identifiers too, since some languages take them for one.

    Args:
        names: any texts.
        reserved: words of the language, and names that the code uses itself.

    >>> identifiers(["a b", "a-b", "größe", "2nd", "class", "日本"], ["class"])
    ['a_b', 'a_b_2', 'gro_e', 'x2nd', 'class_2', 'x']
    """
    taken = {word.lower() for word in reserved}
    found = []
    for name in names:
        # Letters with accents are taken apart, so that the letter stays.
        plain = unicodedata.normalize("NFKD", name)
        plain = "".join(c for c in plain if not unicodedata.combining(c))
        base = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:_LONGEST].strip("_")
        if not base or base[0].isdigit():
            base = f"x{base}"
        made, count = base, 1
        while made.lower() in taken:
            count += 1
            made = f"{base}_{count}"
        taken.add(made.lower())
        found.append(made)
    return found


def comment_text(name: str) -> str:
    """A name as it may stand in a line comment of any language: printable ASCII between quotation marks.

    >>> print(comment_text('a*/b' + chr(10) + 'größe'))
    "a*\\/b\\ngr\\u00f6\\u00dfe"
    """
    # The escaped slash is JSON too, and keeps ``*/`` and ``</script>`` out of the code.
    return json.dumps(name).replace("/", "\\/").replace("%", "\\u0025")
