"""Constraints on models of the chorale encoding: whole frames and bars, key, range, the bass's last note."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import Tokenizer
from seqgen.errors import ConfigError
from seqgen.music.chorale import HOLD, REST, ChoraleEncoding
from seqgen.music.pieces import Key, Meter, parse_key, parse_meter
from seqgen.sampling.chorale_frames import Frames, Layout
from seqgen.sampling.counting import NEVER, CountingAutomaton, Reader, count_over, explore
from seqgen.sampling.pitch_rules import allowed_pitches, ending_class, needs_key, none_so
from seqgen.sampling.tune_wishes import ImpossibleError, TuneRules, flag, joined, values_asked

MOST_VOICES = 8


@dataclass
class ChoraleTokens:
    """The ids of tokens by their values; `none`, endings, and what is never drawn, are left out."""

    size: int
    pitches: dict[int, int] = field(default_factory=dict)
    cells: dict[str, int] = field(default_factory=dict)
    keys: dict[Key, int] = field(default_factory=dict)
    meters: dict[Meter, int] = field(default_factory=dict)
    bars: dict[str, int] = field(default_factory=dict)
    beats: dict[int, int] = field(default_factory=dict)

    @classmethod
    def read(cls, names: Sequence[str], banned: set[int]) -> "ChoraleTokens":
        """Sort the tokens of a vocabulary."""
        tokens = cls(len(names))
        for number, name in enumerate(names):
            kind, _, value = name.partition("_")
            if number in banned or value == "none":
                continue
            if name in (HOLD, REST):
                tokens.cells[name] = number
            elif kind == "Pitch":
                tokens.pitches[int(value)] = number
            elif kind == "Key":
                tokens.keys[parse_key(value)] = number
            elif kind == "Meter":
                tokens.meters[parse_meter(value)] = number
            elif kind == "Bar":
                tokens.bars[value] = number
            elif kind == "Beat":
                tokens.beats[int(value)] = number
        return tokens


def constrain_chorale(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    """Return what chorales obey the rules.

    Raises:
        ConfigError: If that is impossible.
    """
    if rules.valid is False:
        others = [name for name in rules.given if name != "valid"]
        raise ConfigError(f"{flag(others[0])}: needs whole frames; leave out --any")
    encoding = ChoraleEncoding.build(tokenizer.vocab.options.get("parameters") or {})
    if encoding.voices > MOST_VOICES:
        raise ImpossibleError(f"{encoding.voices} voices are too many to keep count of; {MOST_VOICES} go")
    tokens = ChoraleTokens.read(tokenizer.tokens, banned)
    voices = _voices(rules, tokens, encoding.voices)
    frames = Frames(_layout(rules, tokens, encoding, by_key=voices.by_key))
    graph = explore(frames.start, frames.follow)
    sure = np.ones(len(frames.kinds) + 1, np.bool_)
    if voices.ends:
        sure[frames.kind("cell", encoding.voices - 1)] = REST in tokens.cells
        sure[frames.kind("bad")] = False
    reader = _Tables(tokens, voices, frames.kinds).build()
    return count_over(
        reader,
        graph,
        frames.nodes(graph.states),
        only=np.full(len(graph.labels), -1),
        share=1,
        sure=sure[graph.labels] & np.isin(graph.labels, reader.kinds),
        layer=0,
    )


def _layout(rules: TuneRules, tokens: ChoraleTokens, encoding: ChoraleEncoding, *, by_key: bool) -> Layout:
    return Layout(
        voices=encoding.voices,
        grid=encoding.grid,
        meters=_meters(rules, tokens, encoding.grid),
        writes_meters=bool(tokens.meters),
        bar_kinds=list(tokens.bars) if tokens.meters else [],
        beats=frozenset(tokens.beats),
        has_keys=bool(tokens.keys),
        needs_key=bool(tokens.keys) and (by_key or rules.key is not None),
        changes_key=bool(tokens.keys) and not by_key and rules.key is None,
        changes_meter=bool(tokens.meters) and rules.meter is None,
        bars=rules.bars,
        ends=rules.end_on is not None,
    )


def _meters(rules: TuneRules, tokens: ChoraleTokens, grid: int) -> list[Meter]:
    """Return the meters of which bars are counted."""
    wanted = rules.parsed("meter")
    if not tokens.meters:
        if wanted is None and rules.bars is not None:
            raise ConfigError(f"--bars {rules.bars}: this model writes no meters; add --meter")
        meters = [wanted] if wanted is not None else []
    elif tokens.bars or wanted is not None or rules.bars is not None:
        meters = values_asked(rules, "meter", tokens.meters, "meters")
    else:
        return []
    fitting = [meter for meter in meters if (meter.bar_quarters * grid).denominator == 1]
    if meters and not fitting:
        raise ImpossibleError(f"{joined(rules, ['meter'])}: its bars are no whole frames of 1/{grid} quarter")
    return fitting


@dataclass(frozen=True)
class _Voices:
    """Which pitches there may be.

    Attributes:
        voices: How many voices there are.
        keys: The keys that a piece may have, if they are written.
        by_key: Whether the pitches differ from key to key.
        allowed: The pitches that may be, in each key if `by_key`, (keys, P).
        good: Those that the lowest voice may end on, in the same way.
        ends: Whether that matters.
    """

    voices: int
    keys: Sequence[Key]
    by_key: bool
    allowed: NDArray[np.bool_]
    good: NDArray[np.bool_]
    ends: bool


def _voices(rules: TuneRules, tokens: ChoraleTokens, voices: int) -> _Voices:
    asked_key, need = rules.parsed("key"), needs_key(rules)
    if not tokens.keys:
        if need and asked_key is None:
            raise ConfigError(f"{need}: this model writes no keys; name one with --key")
        keys, by_key = [asked_key], False
    else:
        keys, by_key = values_asked(rules, "key", tokens.keys, "keys"), need is not None
    heights = list(tokens.pitches)
    several = keys if by_key else keys[:1]
    ends = [ending_class(rules, key) for key in several]
    allowed = np.array([allowed_pitches(rules, heights, key, silent=not tokens.keys) for key in several])
    good = np.array([[end is None or height % 12 == end for height in heights] for end in ends]) & allowed
    possible = good.any(axis=1)
    if not possible.any():
        raise none_so(rules)
    if by_key:
        keys = [key for key, can in zip(keys, possible, strict=True) if can]
        allowed, good = allowed[possible], good[possible]
    return _Voices(voices, keys, by_key, allowed, good, rules.end_on is not None)


class _Tables:
    """A reader while it is made.

    Its states are, for each key (one more, the first, before it is told, if pitches depend on it), for each
    voice that is next, which voices sound, one bit each.
    """

    def __init__(
        self, tokens: ChoraleTokens, voices: _Voices, kinds: Mapping[tuple[object, ...], int]
    ) -> None:
        self._tokens, self._voices, self._kinds = tokens, voices, kinds
        self._block = voices.voices << voices.voices

    def build(self) -> Reader:
        """Return it."""
        voices = self._voices
        before = [self._before_key()] if voices.by_key else []
        bodies = [self._body(key, (key + voices.by_key) * self._block) for key in range(len(voices.allowed))]
        kinds, following = zip(*before, *bodies, strict=True)
        return Reader(np.concatenate(kinds).astype(np.int32), np.concatenate(following).astype(np.int32))

    def _kind(self, *what: object) -> int:
        return self._kinds.get(what, NEVER)

    def _plain(self) -> NDArray[np.int64]:
        """Return the kinds of marks, (V,)."""
        kinds, tokens = np.full(self._tokens.size, NEVER), self._tokens
        for meter, token in tokens.meters.items():
            kinds[token] = self._kind("meter", meter) or self._kind("meter")
        for bar, token in tokens.bars.items():
            kinds[token] = self._kind("bar", bar)
        for beat, token in tokens.beats.items():
            kinds[token] = self._kind("beat", beat)
        for key in self._voices.keys if tokens.keys and not self._voices.by_key else ():
            kinds[tokens.keys[key]] = self._kind("key")
        return kinds

    def _before_key(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        kinds = np.repeat(self._plain()[None], self._block, axis=0)
        following = np.repeat(np.arange(self._block)[:, None], self._tokens.size, axis=1)
        for number, key in enumerate(self._voices.keys):
            kinds[:, self._tokens.keys[key]] = self._kind("key")
            following[:, self._tokens.keys[key]] = (number + 1) * self._block
        return kinds, following

    def _body(self, key: int, base: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return kinds and following states of one key, both (voices * 2**voices, V)."""
        voices = self._voices.voices
        kinds = np.repeat(self._plain()[None], self._block, axis=0)
        following = base + np.repeat(np.arange(self._block)[:, None], self._tokens.size, axis=1)
        pitches = np.array(list(self._tokens.pitches.values()), np.int64)
        for state in range(self._block):
            voice, sounding = divmod(state, 1 << voices)
            cell, bit = self._kind("cell", voice), 1 << voice
            after = base + ((voice + 1) % voices << voices)
            notes = np.full(len(pitches), cell)
            if self._voices.ends and voice == voices - 1:
                notes = np.where(self._voices.good[key], self._kind("good"), self._kind("bad"))
            kinds[state, pitches] = np.where(self._voices.allowed[key], notes, NEVER)
            following[state, pitches] = after + (sounding | bit)
            if REST in self._tokens.cells:
                kinds[state, self._tokens.cells[REST]] = cell
                following[state, self._tokens.cells[REST]] = after + (sounding & ~bit)
            if HOLD in self._tokens.cells:
                kinds[state, self._tokens.cells[HOLD]] = cell if sounding & bit else NEVER
                following[state, self._tokens.cells[HOLD]] = after + sounding
        return kinds, following
