"""What is asked of tunes by name, and how it is told that it cannot be.

Which of it a model can be asked depends on its encoding; `seqgen.sampling.tune_rules` compiles it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from seqgen.errors import ConfigError
from seqgen.music.abc_fields import read_meter
from seqgen.music.pieces import Meter, parse_pitch
from seqgen.music.scales import SCALES, parse_key_name, pitch_class

T = TypeVar("T")
MOST_BARS = 1000
MOST_POLYPHONY = 8
LEAST_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class TuneRules:
    """What tunes must be like; None where nothing is asked.

    Attributes:
        valid: Whether bars must add up; if nothing is said they do where the model can.
        key: The key that it is in, such as Bb, Am, Ador or Gmix.
        meter: Its meter.
        bars: How many bars it has as written; a pick-up is none of them.
        scale: One of SCALES: the only pitches.
        range: The lowest and the highest pitch, such as D4:B5.
        max_leap: By how many semitones one note differs from the next at most.
        end_on: `tonic` or a note without octave: what the last note is, in a chorale that of the bass.
        max_polyphony: How many notes sound at once at most.

    Raises:
        ConfigError: If a value makes no sense.
    """

    valid: bool | None = None
    key: str | None = None
    meter: str | None = None
    bars: int | None = None
    scale: str | None = None
    range: str | None = None
    max_leap: int | None = None
    end_on: str | None = None
    max_polyphony: int | None = None

    def __post_init__(self) -> None:
        if self.bars is not None and not 1 <= self.bars <= MOST_BARS:
            raise ConfigError(f"--bars {self.bars}: 1 to {MOST_BARS}")
        if self.max_leap is not None and self.max_leap < 0:
            raise ConfigError(f"--max-leap {self.max_leap}: 0 semitones or more")
        if self.max_polyphony is not None and not 1 <= self.max_polyphony <= MOST_POLYPHONY:
            raise ConfigError(f"--max-polyphony {self.max_polyphony}: 1 to {MOST_POLYPHONY} notes at once")
        if self.scale is not None and self.scale not in SCALES:
            raise ConfigError(f"--scale {self.scale}: one of {', '.join(SCALES)}")
        if self.valid is False and (self.bars is not None or self.end_on is not None):
            raise ConfigError(f"{'--bars' if self.bars else '--end-on'}: needs whole bars; leave out --any")
        for name, parse in _PARSERS.items():
            value = getattr(self, name)
            if value is not None:
                self._parsed(name, value, parse)

    def _parsed(self, name: str, value: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(value)
        except ValueError as error:
            raise ConfigError(f"{flag(name)} {value}: {error}; {_EXAMPLES[name]}") from error

    def parsed(self, name: str) -> Any:
        """Return the value of a rule as a key, meter, range or pitch class; None if it is not given."""
        value = getattr(self, name)
        return None if value is None else _PARSERS[name](value)

    @property
    def given(self) -> list[str]:
        """The names of what is asked."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return [name for name, value in values.items() if value is not None and value is not False]


class ImpossibleError(ConfigError):
    """There is no tune in the tokens of the model that obeys the rules."""


def values_asked(rules: TuneRules, name: str, known: Mapping[T, int], plural: str) -> list[T]:
    """Return what a tune may have of the values in the vocabulary: the one that is asked, or all."""
    wanted = rules.parsed(name)
    if wanted is None and not known:
        raise ImpossibleError(f"the vocabulary has no {plural}")
    if wanted is None:
        return list(known)
    if wanted not in known:
        raise ImpossibleError(
            f"{flag(name)} {getattr(rules, name)}: the model knows no {wanted.name}, but {_listed(known)}"
        )
    return [wanted]


def _listed(values: Iterable[Any]) -> str:
    names = [value.name for value in values]
    return ", ".join(names[:LEAST_SHOWN]) + (
        f" and {len(names) - LEAST_SHOWN} more" if len(names) > LEAST_SHOWN else ""
    )


def flag(name: str) -> str:
    """Return the option that asks for a rule."""
    return "--" + name.replace("_", "-")


def joined(rules: TuneRules, names: Sequence[str]) -> str:
    """Return the options that ask for some rules, with their values."""
    shown = [flag(name) if name == "valid" else f"{flag(name)} {getattr(rules, name)}" for name in names]
    return " and ".join(shown)


def asked(rules: TuneRules, default: str) -> str:
    """Return all options that ask for something, or what is asked if there are none."""
    return joined(rules, rules.given) or default


def _parse_meter(text: str) -> Meter:
    meter = read_meter(text)
    if meter is None:
        raise ValueError("it is none")
    return meter


def _parse_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition(":")
    if not high:
        raise ValueError("two pitches are needed")
    lowest, highest = parse_pitch(low).midi, parse_pitch(high).midi
    if lowest > highest:
        raise ValueError("the lower one comes first")
    return lowest, highest


_PARSERS: dict[str, Callable[[str], Any]] = {
    "key": parse_key_name,
    "meter": _parse_meter,
    "range": _parse_range,
    "end_on": lambda text: None if text == "tonic" else pitch_class(text),
}
_EXAMPLES = {
    "key": "such as G, Bb, F#m, Ador or Gmix",
    "meter": "such as 6/8",
    "range": "such as D4:B5; middle C is C4",
    "end_on": "tonic, or a note such as D or F#",
}
