"""Constraints on tunes by name, for models of the melody encoding: bars that add up, key, range and the like.

What cannot be met is told before anything is sampled. Bars that add up are asked of every tune unless `valid`
is False; where a vocabulary or a prompt does not let them, and nothing else is asked, that is only remarked.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

from seqgen.data.tokenizers import EOS_ID, Tokenizer
from seqgen.errors import ConfigError
from seqgen.music.abc_fields import read_meter
from seqgen.music.pieces import Key, Meter, Pitch, parse_pitch
from seqgen.music.scales import SCALES, parse_key_name, pitch_class, scale_of
from seqgen.sampling.automata import TooLargeError
from seqgen.sampling.counting import CountingAutomaton, Graph, count_over, explore
from seqgen.sampling.prompts import MERGED
from seqgen.sampling.rhythm import OPENING, Rhythm, State
from seqgen.sampling.tune_reader import FAR, Melodies, count_hops, make_reader
from seqgen.sampling.tune_tokens import TuneTokens, read_tune_tokens

T = TypeVar("T")
MOST_BARS = 1000
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
        end_on: `tonic` or a note without octave: what the last note is.

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

    def __post_init__(self) -> None:
        if self.bars is not None and not 1 <= self.bars <= MOST_BARS:
            raise ConfigError(f"--bars {self.bars}: 1 to {MOST_BARS}")
        if self.max_leap is not None and self.max_leap < 0:
            raise ConfigError(f"--max-leap {self.max_leap}: 0 semitones or more")
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
            raise ConfigError(f"{_flag(name)} {value}: {error}; {_EXAMPLES[name]}") from error

    def parsed(self, name: str) -> Any:
        """Return the value of a rule as a key, meter, range or pitch class; None if it is not given."""
        value = getattr(self, name)
        return None if value is None else _PARSERS[name](value)

    @property
    def given(self) -> list[str]:
        """The names of what is asked."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return [name for name, value in values.items() if value is not None and value is not False]


def constrain_tune(
    rules: TuneRules, tokenizer: Tokenizer, *, prompt: Sequence[int], length: int, banned: Iterable[int] = ()
) -> tuple[CountingAutomaton | None, str]:
    """Return what may be drawn after a prompt so that the tune obeys the rules; None if there are none.

    Args:
        rules: What is asked.
        tokenizer: Of the model.
        prompt: Tokens that the tune begins with.
        length: How many tokens may be drawn.
        banned: Tokens that are never drawn.

    Returns:
        It, and a remark if bars need not add up because they cannot.

    Raises:
        ConfigError: If what is asked is impossible, naming the rule.
    """
    if tokenizer.modality == "text":
        if rules.given:
            raise ConfigError(f"{_flag(rules.given[0])}: this model writes text, which has no notes")
        return None, ""
    if tokenizer.vocab.options.get("notes") != "melody":
        if rules.given:
            raise ConfigError(f"{_flag(rules.given[0])}: only for models of the melody encoding")
        return None, ""
    if tokenizer.vocab.options.get("merges"):
        if rules.given:
            raise ConfigError(f"{_flag(rules.given[0])}: {MERGED}")
        return None, "" if rules.valid is False else f"bars need not add up here: {MERGED}"
    if rules.valid is False and not rules.given:
        return None, ""
    try:
        whole = _compile(rules, read_tune_tokens(tokenizer.tokens, banned), banned)
        count, rest = whole.obeyed(prompt)
        if count < len(prompt):
            name = tokenizer.tokens[prompt[count]]
            raise _ImpossibleError(f"--prompt: {name}, its token {count + 1}, is against {_asked(rules)}")
    except _ImpossibleError as error:
        if rules.given:
            raise
        return None, f"bars need not add up here: {error}"
    if (rest.shortest or 0) > length:
        hint = "" if rules.given else "; raise it, or let tunes be cut with --any"
        raise ConfigError(
            f"{_asked(rules)}: takes at least {rest.shortest} tokens, but --length is {length}{hint}"
        )
    return rest, ""


class _ImpossibleError(ConfigError):
    """There is no tune in the tokens of the model that obeys the rules."""


def _compile(rules: TuneRules, tokens: TuneTokens, banned: Iterable[int]) -> CountingAutomaton:
    if EOS_ID in banned:
        raise ConfigError(f"--ban <eos>: what obeys {_asked(rules)} must be able to end")
    meters = _only(rules, "meter", tokens.meters, "meters")
    melodies = _melodies(rules, tokens)
    if not tokens.units:
        raise _ImpossibleError("the vocabulary has no unit")
    rhythm = Rhythm(tokens, meters, bars=rules.bars, hops=melodies.most_hops)
    start = State("start", section=OPENING)
    try:
        graph = explore(start, rhythm.follow if rules.valid is not False else rhythm.follow_freely)
        whole = _measured(rhythm, graph, melodies)
    except TooLargeError as error:
        raise ConfigError(
            f"{_asked(rules)}: too much to count; ask for one --meter, or fewer --bars"
        ) from error
    if whole.shortest is None:
        raise _ImpossibleError(f"{_asked(rules)}: there is no such tune in the tokens of this model")
    return whole


def _measured(rhythm: Rhythm, graph: Graph, melodies: Melodies) -> CountingAutomaton:
    only = np.full(len(rhythm.kinds) + 1, -1)
    sure = np.ones(len(rhythm.kinds) + 1, np.bool_)
    for what, number in rhythm.kinds.items():
        if what[0] in ("note", "rest"):
            only[number] = what[1]
        sure[number] = what[0] != "note" or what[2] in (-1, 0)
    return count_over(
        make_reader(rhythm.tokens, melodies, rhythm.units, rhythm.kinds),
        graph,
        rhythm.nodes(graph.states),
        only=only[graph.labels],
        share=rhythm.unit_step,
        sure=sure[graph.labels],
        layer=rhythm.first_layer,
    )


def _only(rules: TuneRules, name: str, known: dict[T, int], plural: str) -> list[T]:
    """Return what a tune may have of the values in the vocabulary: the one that is asked, or all."""
    wanted = rules.parsed(name)
    if wanted is None and not known:
        raise _ImpossibleError(f"the vocabulary has no {plural}")
    if wanted is None:
        return list(known)
    if wanted not in known:
        raise _ImpossibleError(
            f"{_flag(name)} {getattr(rules, name)}: the model knows no {wanted.name}, but {_listed(known)}"
        )
    return [wanted]


def _listed(values: Iterable[Any]) -> str:
    names = [value.name for value in values]
    return ", ".join(names[:LEAST_SHOWN]) + (
        f" and {len(names) - LEAST_SHOWN} more" if len(names) > LEAST_SHOWN else ""
    )


def _melodies(rules: TuneRules, tokens: TuneTokens) -> Melodies:
    """Return the pitches there may be, in each key that has some."""
    keys = _only(rules, "key", tokens.keys, "keys")
    pitches = sorted(tokens.pitches, key=lambda pitch: (pitch.midi, pitch.name))
    low, high = rules.parsed("range") or (0, 127)
    inside = [pitch for pitch in pitches if low <= pitch.midi <= high]
    if not pitches:
        raise _ImpossibleError("the vocabulary has no pitches")
    if not inside:
        raise _ImpossibleError(
            f"--range {rules.range}: the model's pitches go from {pitches[0].name} to {pitches[-1].name}"
        )
    hops = [count_hops(inside, rules.max_leap, *_allowed(rules, key)) for key in keys]
    possible = [number for number in range(len(keys)) if (hops[number] != FAR).any()]
    if not possible:
        asked = [name for name in ("scale", "range", "max_leap", "end_on") if name in rules.given]
        raise _ImpossibleError(f"{_joined(rules, asked)}: none of the model's pitches are so")
    by_key = rules.scale not in (None, "chromatic") or rules.end_on == "tonic"
    return Melodies(
        keys=[keys[number] for number in possible],
        pitches=inside,
        hops=np.array([hops[number] for number in possible if by_key or number == possible[0]]),
        leap=rules.max_leap,
        by_key=by_key,
        changes_key=not by_key and rules.key is None,
    )


def _allowed(rules: TuneRules, key: Key) -> tuple[Callable[[Pitch], bool], Callable[[Pitch], bool]]:
    """Return what tells which pitches a tune in a key may have, and which ones it may end on."""
    may_be = scale_of(rules.scale or "chromatic", key)
    if rules.end_on is None:
        return may_be, lambda pitch: True
    end = pitch_class(key.tonic if rules.end_on == "tonic" else rules.end_on)
    return may_be, lambda pitch: pitch.midi % 12 == end


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _joined(rules: TuneRules, names: Sequence[str]) -> str:
    shown = [_flag(name) if name == "valid" else f"{_flag(name)} {getattr(rules, name)}" for name in names]
    return " and ".join(shown)


def _asked(rules: TuneRules) -> str:
    return _joined(rules, rules.given) or "bars that add up"


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
