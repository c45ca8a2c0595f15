"""The tokens of a line of ABC music, as one regular expression whose named groups say what was found.

The order matters: a chord, an inline field and an ending all begin with `[`, a tuplet and a slur with `(`,
and `!` opens a decoration or, in old files, ends a line of the page.
"""

import re

_NOTE = r"(?:(?P<sign>\^\^|\^|__|_|=)(?P<micro>\d*/\d*)?)?(?P<letter>[A-Ga-g])(?P<marks>[,']*)"
_LENGTH = r"\d*/*\d*"
TOKEN = re.compile(
    rf"""
      (?P<note>{_NOTE}(?P<length>{_LENGTH}))
    | (?P<tuplet>\((?P<p>[2-9]|1\d)(?::(?P<q>\d*)(?::(?P<r>\d*))?)?)
    | (?P<skip>[\s`\\$*;?@\#]+|y\d*|\.?\((?!&)|(?<!&)\))
    | (?P<bar>\.?(?::*\[?\|[|:\]]*|::+|:\])(?P<volta>\d[\d,.-]*)?)
    | (?P<rest>[zx](?P<rest_length>{_LENGTH}))
    | (?P<text>"(?P<words>[^"]*)")
    | (?P<broken>>{{1,3}}|<{{1,3}})
    | (?P<tie>\.?-)
    | (?P<grace>\{{(?P<graces>[^{{}}]*)\}})
    | (?P<mark>!(?P<name>[^\s!|"\[\]]{{1,24}})!|\+[^\s+|"\[\]:]{{1,24}}\+)
    | (?P<ending>\[\d[\d,.-]*)
    | (?P<inline>\[(?P<field>[A-Za-z]:[^\]]*)\])
    | (?P<chord>\[(?P<inside>[^\[\]|]+)\](?P<chord_length>{_LENGTH}))
    | (?P<named_ending>\["[^"]*")
    | (?P<late_ending>\d[\d,.-]*)
    | (?P<colon>:(?P<closes>\s*(?:"[^"]*")?\s*\[?\|[|\]]*)?)
    | (?P<mail>=(?:20)?\s*$)
    | (?P<bars>[ZX](?P<count>\d*))
    | (?P<overlay_open>\(&)
    | (?P<overlay_close>&\))
    | (?P<overlay>&)
    | (?P<ornament>[.~H-Yh-w])
    | (?P<newline>!)
    """,
    re.VERBOSE,
)
IN_CHORD = re.compile(
    rf"(?P<note>{_NOTE}(?P<length>{_LENGTH}))(?P<tie>\.?-)?|(?P<rest>[zx]{_LENGTH})"
    r"|(?P<skip>[\s`.~()]|![^!]*!|\"[^\"]*\"|[H-Wh-w])"
)
GRACE_NOTE = re.compile(r"[A-Ga-g]")
