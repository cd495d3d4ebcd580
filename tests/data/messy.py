"""Small tables as people have them, each with what it has to be read as, or with the words of its refusal.

The first thirty were written before the reader was finished, the others when it was.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """A table.

    Attributes:
        name: what is odd about it.
        content: of the file.
        columns: what it has to be read as; numbers or text. None where it is refused.
        words: in the refusal, or in the notes.
        options: of the reading.
        faults: columns that are there but whose numbers are refused, with words of the refusal.
    """

    name: str
    content: str | bytes
    columns: dict[str, list[Any]] | None
    words: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


X, Y = [0.5, 1.25, 2.0, 3.5], [10.0, 20.0, 15.0, 5.0]
PLAIN = "x,y\n0.5,10\n1.25,20\n2,15\n3.5,5\n"
XY = {"x": X, "y": Y}


def zipped(**files: str) -> bytes:
    """An archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


FIRST = [
    Case("latin-1", "größe,y\n0.5,10\n1.25,20\n".encode("latin-1"), {"größe": X[:2], "y": Y[:2]},
         ("read as Windows-1252, in which the byte 0xf6 on line 1 is 'ö'",)),
    Case("UTF-16, little end first", PLAIN.encode("utf-16"), XY),
    Case("UTF-16, big end first", b"\xfe\xff" + PLAIN.encode("utf-16-be"), XY),
    Case("UTF-16 without a mark", PLAIN.encode("utf-16-le"), XY, ("was read as UTF-16, which it does not say",)),
    Case("remarks above", "# made by hand\n# units: m\n" + PLAIN, XY),
    Case("per cent signs above", "% made by Octave\n" + PLAIN, XY),
    Case("names behind #", "# x y\n" + PLAIN.split("\n", 1)[1].replace(",", " "), XY, ("begins with #",)),
    Case("remarks between rows", PLAIN.replace("2,15\n", "# a pause\n2,15\n# the end\n"), XY),
    Case("a row behind #", PLAIN.replace("2,15\n", "2,15\n#99,99\n"), XY, ("row that begins with # or % on line 5",)),
    Case("title", "My measurements\n\n" + PLAIN, XY, ("'My measurements'",)),
    Case("title of a spreadsheet", "My measurements,\nOslo,\n" + PLAIN, XY, ("2 lines from line 1 on",)),
    Case("sep", "sep=;\n" + PLAIN.replace(",", ";"), XY),
    Case("units below", PLAIN.replace("x,y\n", "x,y\nm,m/s^2\n"), XY, ("--units 'x=m, y=m/s^2'",)),
    Case("units in brackets", PLAIN.replace("x,y\n", "x,y\n[furlong],[-]\n"), XY, ("--units 'x=furlong, y=1'",)),
    Case("row numbers from 0", ",x,y\n0,0.5,10\n1,1.25,20\n2,2,15\n3,3.5,5\n", XY, ("numbers the rows from 0",)),
    Case("row numbers from 1", "Unnamed: 0;x;y\n1;0.5;10\n2;1.25;20\n3;2;15\n4;3.5;5\n", XY, ("rows from 1",)),
    Case("delimiters at the end", PLAIN.replace("\n", ",,\n"), XY),
    Case("delimiters behind rows", "x,y\n" + PLAIN.split("\n", 1)[1].replace("\n", ",\n"), XY),
    Case("empty rows at the end", PLAIN + ",\n,\n", XY),
    Case("two headers", PLAIN + PLAIN, {"x": X + X, "y": Y + Y}, ("a second header on line 6",)),
    Case("thousands", 'x,y\n0.5,"10,000"\n1.25,"1,250,000"\n', {"x": X[:2], "y": [1e4, 1.25e6]}, ("thousands",)),
    Case("thousands or decimals", 'x,y\n0.5,"10,000"\n1.25,"12,500"\n', {"x": X[:2]}, ("--decimal",),
         faults={"y": "line 2: column 'y': '10,000' may be 10000 or a decimal number"}),
    Case("decimal commas between commas", 'x,y\n"0,5",10\n"1,25",20\n', {"x": X[:2], "y": Y[:2]}),
    Case("German numbers", "x;y\n0,5;1.234,5\n1,25;12.345,25\n", {"x": X[:2], "y": [1234.5, 12345.25]}),
    Case("Swiss and French numbers", "x;y\n1'234.5;1 234\n12'000;12 000\n",
         {"x": [1234.5, 12000.0], "y": [1234.0, 12000.0]}, ("thousands",)),
    Case("money", 'x,y\n"$1,200",€ 3.5\n$950,€ 4.25\n', {"x": [1200.0, 950.0], "y": [3.5, 4.25]}, ("'$' was taken",)),
    Case("units in cells", "x,y\n12.5 kg,3 m/s\n13 kg,4 m/s\n", {"x": [12.5, 13.0], "y": [3.0, 4.0]}, ("'x=kg'",)),
    Case("different units", "x,y\n3 kg,1\n500 g,2\n", {"y": [1.0, 2.0]},
         faults={"x": "line 3: column 'x': '500 g' and '3 kg' are in different units"}),
    Case("negative in parentheses", "x,y\n(0.5),10\n1.25,(20)\n", {"x": [-0.5, 1.25], "y": [10.0, -20.0]},
         ("read as negative",)),
    Case("a total", PLAIN + "Total,50\n", XY, ("'Total' in line 6 sums up",)),
    Case("a total that is none", "k,x\na,1\nb,2\nTotal,7\n", None, ("line 4", "called 'Total'", "--where")),
]  # fmt: skip
