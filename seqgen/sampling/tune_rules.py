"""Constraints on tunes by name: bars that add up, key, range and the like.

What cannot be met is told before anything is sampled. Bars that add up, or the grammar of the encoding, are
asked of every tune unless `valid` is False; where a vocabulary or a prompt does not let them, and nothing
else is asked, that is only remarked. Those of the melody encoding are compiled here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from seqgen.data.tokenizers import EOS_ID, Tokenizer
from seqgen.errors import ConfigError
from seqgen.music.pieces import Key, Pitch
from seqgen.music.scales import pitch_class, scale_of
from seqgen.sampling.automata import TooLargeError
from seqgen.sampling.chorale_rules import constrain_chorale
from seqgen.sampling.counting import CountingAutomaton, Graph, count_over, explore
from seqgen.sampling.kept import kept
from seqgen.sampling.prompts import MERGED
from seqgen.sampling.remi_rules import constrain_remi
from seqgen.sampling.rhythm import OPENING, Rhythm, State
from seqgen.sampling.tune_reader import FAR, Melodies, count_hops, make_reader
from seqgen.sampling.tune_tokens import TuneTokens, read_tune_tokens
from seqgen.sampling.tune_wishes import ImpossibleError, TuneRules, asked, flag, joined, values_asked


class Grammar(NamedTuple):
    """What the tunes of an encoding can be held to.

    Attributes:
        compile: Returns what they may be in the tokens of a vocabulary, some of which are never drawn.
        rules: What can be asked.
        default: What is, if nothing is said.
        otherwise: What may be where that is impossible.
    """

    compile: Callable[[TuneRules, Tokenizer, set[int]], CountingAutomaton]
    rules: tuple[str, ...]
    default: str
    otherwise: str


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
            raise ConfigError(f"{flag(rules.given[0])}: this model writes text, which has no notes")
        return None, ""
    if tokenizer.vocab.options.get("merges"):
        if rules.given:
            raise ConfigError(f"{flag(rules.given[0])}: {MERGED}")
        return None, "" if rules.valid is False else f"bars need not add up here: {MERGED}"
    notes = str(tokenizer.vocab.options.get("notes"))
    grammar = _GRAMMARS.get(notes)
    unknown = [name for name in rules.given if grammar is None or name not in grammar.rules]
    if unknown:
        known = " and ".join(name for name, other in _GRAMMARS.items() if unknown[0] in other.rules)
        raise ConfigError(f"{flag(unknown[0])}: only for models of {known}, this one is of {notes}")
    if grammar is None or (rules.valid is False and not rules.given):
        return None, ""
    wish = asked(rules, grammar.default)
    try:
        whole = _compiled(grammar, rules, tokenizer, set(banned))
        count, rest = whole.obeyed(prompt)
        if count < len(prompt):
            name = tokenizer.tokens[prompt[count]]
            raise ImpossibleError(f"--prompt: {name}, its token {count + 1}, is against {wish}")
    except ImpossibleError as error:
        if rules.given:
            raise
        return None, f"{grammar.otherwise} here: {error}"
    if (rest.shortest or 0) > length:
        hint = "" if rules.given else "; raise it, or let tunes be cut with --any"
        raise ConfigError(f"{wish}: takes at least {rest.shortest} tokens, but --length is {length}{hint}")
    return rest, ""


def _compiled(
    grammar: Grammar, rules: TuneRules, tokenizer: Tokenizer, banned: set[int]
) -> CountingAutomaton:
    wish = asked(rules, grammar.default)
    if EOS_ID in banned:
        raise ConfigError(f"--ban <eos>: what obeys {wish} must be able to end")
    if any("+" in name for name in tokenizer.tokens):
        raise ImpossibleError(f"{wish}: the tokens of this model are merged, of several notes at a time")
    try:
        made_from = [tokenizer.vocab.content_hash, asdict(rules), sorted(banned)]
        whole = kept(made_from, lambda: grammar.compile(rules, tokenizer, banned))
    except TooLargeError as error:
        raise ConfigError(f"{wish}: too much to count; ask for one --meter, or fewer --bars") from error
    if whole.shortest is None:
        raise ImpossibleError(f"{wish}: there is no such tune in the tokens of this model")
    return whole


def _constrain_melody(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    tokens = read_tune_tokens(tokenizer.tokens, banned)
    meters = values_asked(rules, "meter", tokens.meters, "meters")
    melodies = _melodies(rules, tokens)
    if not tokens.units:
        raise ImpossibleError("the vocabulary has no unit")
    rhythm = Rhythm(tokens, meters, bars=rules.bars, hops=melodies.most_hops)
    follow = rhythm.follow if rules.valid is not False else rhythm.follow_freely
    return _measured(rhythm, explore(State("start", section=OPENING), follow), melodies)


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


def _melodies(rules: TuneRules, tokens: TuneTokens) -> Melodies:
    """Return the pitches there may be, in each key that has some."""
    keys = values_asked(rules, "key", tokens.keys, "keys")
    pitches = sorted(tokens.pitches, key=lambda pitch: (pitch.midi, pitch.name))
    low, high = rules.parsed("range") or (0, 127)
    inside = [pitch for pitch in pitches if low <= pitch.midi <= high]
    if not pitches:
        raise ImpossibleError("the vocabulary has no pitches")
    if not inside:
        raise ImpossibleError(
            f"--range {rules.range}: the model's pitches go from {pitches[0].name} to {pitches[-1].name}"
        )
    hops = [count_hops(inside, rules.max_leap, *_allowed(rules, key)) for key in keys]
    possible = [number for number in range(len(keys)) if (hops[number] != FAR).any()]
    if not possible:
        asked = [name for name in ("scale", "range", "max_leap", "end_on") if name in rules.given]
        raise ImpossibleError(f"{joined(rules, asked)}: none of the model's pitches are so")
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


_GRAMMARS = {
    "melody": Grammar(
        _constrain_melody,
        ("valid", "key", "meter", "bars", "scale", "range", "max_leap", "end_on"),
        "bars that add up",
        "bars need not add up",
    ),
    "chorale": Grammar(
        constrain_chorale,
        ("valid", "key", "meter", "bars", "scale", "range", "end_on"),
        "whole frames and bars",
        "anything may follow",
    ),
    "remi": Grammar(
        constrain_remi,
        ("valid", "key", "meter", "bars", "scale", "range", "max_polyphony"),
        "the grammar of remi",
        "anything may follow",
    ),
}
