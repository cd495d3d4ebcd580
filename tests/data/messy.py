"""Small tables as people have them, each with what it has to be read as, or with the words of its refusal.

The first thirty were written before the reader was finished, the others when it was.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Case:
    """A table.

    Attributes:
        name: what is odd about it.
        content: of the file, or what makes it.
        columns: what it has to be read as; numbers or text. None where it is refused.
        words: in the refusal, or in the notes.
        options: of the reading.
        faults: columns that are there but whose numbers are refused, with words of the refusal.
    """

    name: str
    content: str | bytes | Callable[[], bytes]
    columns: dict[str, list[Any]] | None
    words: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the file."""
        content = self.content() if callable(self.content) else self.content
        path.write_bytes(content.encode() if isinstance(content, str) else content)


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

SECOND = [
    Case("R with names of rows", '"mpg" "wt"\n"Mazda RX4" 21 2.62\n"Datsun 710" 22.8 2.32\n',
         {"row": ["Mazda RX4", "Datsun 710"], "mpg": [21.0, 22.8], "wt": [2.62, 2.32]}, ("called 'row'",)),
    Case("points in a table of commas", "x;y\n1.234;2,5\n2.500;3,75\n", {"y": [2.5, 3.75]},
         faults={"x": "line 2: column 'x': '1.234' may be 1234 or a decimal number"}),
    Case("the same with the mark", "x;y\n1.234;2,5\n2.500;3,75\n", {"x": [1234.0, 2500.0], "y": [2.5, 3.75]},
         options={"decimal": ","}),
    Case("Fortran", "   t      v\n 1.0D+00  2.5D-01\n 2.0D+00  5.0D-01\n", {"t": [1.0, 2.0], "v": [0.25, 0.5]}),
    Case("a source below", "x,y,z\n1,2,3\n4,5,6\nSource: WHO, 2020\n",
         {"x": [1.0, 4.0], "y": [2.0, 5.0], "z": [3.0, 6.0]},
         ("what stands below the table was passed over (line 4: 'Source: WHO')",)),
    Case("a last row that was cut off", "x,y,z\n1,2,3\n4,5,6\n7,8\n", None, ("line 4", "the row has 2 cells")),
    Case("a last row of names that was cut off", "n,y,z\nann,2,3\nbob,5,6\nSourav\n", None, ("line 4", "has 1 cell")),
    Case("a source below names, with all delimiters", "site;x;y\na;1;2\nb;4;5\nc;2;2\nQuelle: Labor 3;;\n",
         {"site": ["a", "b", "c"], "x": [1.0, 4.0, 2.0], "y": [2.0, 5.0, 2.0]},
         ("what stands below the table was passed over (line 5: 'Quelle: Labor 3')",)),
    Case("remarks below names, after an empty line",
         "n,y,z\nann,2,3\nbob,5,6\n\nAll figures are rounded,\nand provisional\n",
         {"n": ["ann", "bob"], "y": [2.0, 5.0], "z": [3.0, 6.0]}, ("2 lines from line 5 on",)),
    Case("two encodings", "größe;ort\n".encode() + b"1,5;K\xf6ln\n2,5;Bonn\n",
         {"größe": [1.5, 2.5], "ort": ["Köln", "Bonn"]},
         ("UTF-8 on some lines", "'ö'")),
    Case("months in German", "Tag;y\n31. März 2024;1\n1. Mai 2024;2\n24 Dez 2024;3\n",
         {"Tag": ["31. März 2024", "1. Mai 2024", "24 Dez 2024"], "y": [1.0, 2.0, 3.0]}),
    Case("a German export", ("\ufeffZeit;Weg;\r\n0,5;10,25;\r\n1,5;1.020,5;\r\n").encode(),
         {"Zeit": [0.5, 1.5], "Weg": [10.25, 1020.5]}),
    Case("an old Mac", "Run 7\r\r" + PLAIN.replace("\n", "\r"), XY, ("'Run 7'",)),
    Case("Markdown", "| x | y |\n|---|---|\n| 0.5 | 10 |\n| 1.25 | 20 |\n", {"x": X[:2], "y": Y[:2]}),
    Case("psql", " x   | y\n-----+----\n 0.5 | 10\n 2.0 | 20\n(2 rows)\n", None, ("line",)),
    Case("money behind", "x;y\n12,50 €;1\n1.350,00 €;2\n", {"x": [12.5, 1350.0], "y": [1.0, 2.0]}, ("'€'",)),
    Case("shares in per cent", 'x,y\n12.5%,1\n"7,5 %",2\n', {"x": ["12.5%", "7,5 %"], "y": [1.0, 2.0]}),
    Case("errors in cells", "x,y\n1.23 ± 0.02,1\n1.31 ± 0.03,2\n", {"y": [1.0, 2.0]},
         faults={"x": "line 2: column 'x': '1.23 ± 0.02' is a value with its error"}),
    Case("units with and without a space", "x,y\n5kg,1\n6 kg,2\n", {"x": [5.0, 6.0], "y": [1.0, 2.0]}),
    Case("spaces that do not break", "x;y\n1\u00a0234,5;1\n12\u202f000;2\n", {"x": [1234.5, 12000.0], "y": [1.0, 2.0]}),
    Case("Indian thousands", 'x,y\n"1,23,456",1\n"12,34,567",2\n',
         {"x": [123456.0, 1234567.0], "y": [1.0, 2.0]}, ("thousands",)),
    Case("a mean and a spread", "n,x\na,1\nb,2\nc,6\nMean,3\nStd,2.6458\n",
         {"n": ["a", "b", "c"], "x": [1.0, 2.0, 6.0]},
         ("'Mean' to 'Std' in line 5 to line 6",)),
    Case("two tables", "x,y\n1,2\n3,4\n\na,b,c\n1,2,3\n", None, ("line 5", "the row has 3 cells")),
    Case("an instrument",
         "Model,AX-12\nDate,2020-01-05\nOperator,Bob\n\nTime,Volt,Amp\ns,V,mA\n0,1.5,2\n1,1.6,3\n2,1.7,4\n",
         {"Time": [0.0, 1.0, 2.0], "Volt": [1.5, 1.6, 1.7], "Amp": [2.0, 3.0, 4.0]},
         ("3 lines from line 1 on: 'Model'", "Amp=mA")),
    Case("missing cells stay", "x,y\nNA,1\n2,3\n-,4\n", {"y": [1.0, 3.0, 4.0]},
         faults={"x": "line 2: column 'x' holds 'NA'"}),
    Case("dates and times", "x,day,clock\n1,01.02.2020,12:30\n2,02.03.2021,13:45\n",
         {"x": [1.0, 2.0], "day": ["01.02.2020", "02.03.2021"], "clock": ["12:30", "13:45"]}),
    Case("addresses", "x,host,version\n1,192.168.100.200,1.2.3\n2,192.168.100.201,1.2.4\n",
         {"x": [1.0, 2.0], "host": ["192.168.100.200", "192.168.100.201"], "version": ["1.2.3", "1.2.4"]}),
    Case("numbered in parentheses", "n,x\n(1),5\n(2),6\n", {"n": ["(1)", "(2)"], "x": [5.0, 6.0]}),
    Case("degrees in Latin-1", "T;p\n12,5 °C;1013\n13 °C;1009\n".encode("latin-1"),
         {"T": [12.5, 13.0], "p": [1013.0, 1009.0]},
         ("Windows-1252", "'T=°C'")),
    Case("Unicode text of Excel", ("Report\t\t\r\nx\ty\tname\r\n0.5\t10\tå\r\n1.25\t20\tb\r\n").encode("utf-16"),
         {"x": X[:2], "y": Y[:2], "name": ["å", "b"]}, ("'Report'",)),
    Case("names behind %", "%time voltage\n0 1.5\n1 1.6\n", {"time": [0.0, 1.0], "voltage": [1.5, 1.6]}),
    Case("a remark behind a number", "x,y\n1,2\n3,4 # bad\n5,6\n", {"x": [1.0, 3.0, 5.0]}, faults={"y": "line 3"}),
    Case("dollars alone", 'x,y\n"$1,234",1\n"$5,678",2\n', {"x": [1234.0, 5678.0], "y": [1.0, 2.0]}),
    Case("euros alone", 'x,y\n"€1,234",1\n"€5,678",2\n', {"y": [1.0, 2.0]}, faults={"x": "'€1,234' may be"}),
    Case("years as names", "country,2019,2020\nA,1,2\nB,3,4\n",
         {"country": ["A", "B"], "2019": [1.0, 3.0], "2020": [2.0, 4.0]}),
    Case("names and their meaning", "x,y\nlength of rod,time taken\n1,2\n3,4\n", {},
         faults={"x": "line 2", "y": "line 2"}),
    Case("powers of ten", "x,y\n1.5×10^3,1\n2.5×10⁻²,2\n", {"x": [1500.0, 0.025], "y": [1.0, 2.0]}),
    Case("records with money", '{"x": "$1,200.50", "y": 1}\n{"x": "$950", "y": null}\n',
         {"x": [1200.5, 950.0]}, faults={"y": "line 2: column 'y' is empty"}),
]  # fmt: skip
