"""How --with and --without are read."""

import pytest

from seqgen.cli.options import parse_kept
from seqgen.errors import ConfigError


def test_what_is_kept_and_left_out_becomes_configuration():
    assert parse_kept("pedal", "velocity, tempo") == {
        "vocab__pedals": True,
        "vocab__velocities": 0,
        "vocab__tempos": False,
    }
    assert parse_kept("program,velocity", None) == {"vocab__programs": True, "vocab__velocities": None}
    assert parse_kept(None, None) == {}


@pytest.mark.parametrize(
    ("kept", "left_out", "message"),
    [
        (None, "pitch", "--without pitch: 'pitch' is none of velocity, program, tempo, pedal"),
        ("tempo", "tempo", "--without tempo: 'tempo' is given twice"),
        ("", None, "--with : '' is none of"),
    ],
)
def test_unknown_and_repeated_names_are_refused(kept, left_out, message):
    with pytest.raises(ConfigError, match=f"^{message}"):
        parse_kept(kept, left_out)
