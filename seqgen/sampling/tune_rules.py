"""Constraints on tunes by name: bars that add up, key, range and the like.

What cannot be met is told before anything is sampled. Bars that add up, or the grammar of the encoding, are
asked of every tune unless `valid` is False; where a vocabulary or a prompt does not let them, and nothing
else is asked, that is only remarked. What rules mean in the tokens of an encoding is in a module of its own,
loaded only to compile what is not kept yet.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from seqgen.data.tokenizers import EOS_ID, Tokenizer
from seqgen.errors import ConfigError
from seqgen.sampling.automata import TooLargeError
from seqgen.sampling.counting import CountingAutomaton
from seqgen.sampling.kept import kept
from seqgen.sampling.prompts import MERGED
from seqgen.sampling.tune_wishes import ImpossibleError, TuneRules, asked, flag


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


def _melody(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    from seqgen.sampling.melody_rules import constrain_melody

    return constrain_melody(rules, tokenizer, banned)


def _chorale(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    from seqgen.sampling.chorale_rules import constrain_chorale

    return constrain_chorale(rules, tokenizer, banned)


def _remi(rules: TuneRules, tokenizer: Tokenizer, banned: set[int]) -> CountingAutomaton:
    from seqgen.sampling.remi_rules import constrain_remi

    return constrain_remi(rules, tokenizer, banned)


_GRAMMARS = {
    "melody": Grammar(
        _melody,
        ("valid", "key", "meter", "bars", "scale", "range", "max_leap", "end_on"),
        "bars that add up",
        "bars need not add up",
    ),
    "chorale": Grammar(
        _chorale,
        ("valid", "key", "meter", "bars", "scale", "range", "end_on"),
        "whole frames and bars",
        "anything may follow",
    ),
    "remi": Grammar(
        _remi,
        ("valid", "key", "meter", "bars", "scale", "range", "max_polyphony"),
        "the grammar of remi",
        "anything may follow",
    ),
}
