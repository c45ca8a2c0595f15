"""Kinds of note tokens: what stands before the underscore of Type_Value, in small letters."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from seqgen.data.tokenizers import EOS_ID, UNK_ID, Tokenizer
from seqgen.errors import ConfigError


def kind_of(token: str) -> str:
    """Return the kind of a note token: `pitch` of Pitch_F#5."""
    return token.partition("_")[0].lower()


def relative_sharpness(
    tokenizer: Tokenizer, temperature: float, by_kind: Mapping[str, float]
) -> NDArray[np.float32]:
    """Return by what to divide the temperature for each token, (V,).

    Scores are counted from the likeliest token, so a temperature says how readily tokens of a kind are drawn
    in place of that.

    Args:
        tokenizer: Of a music model.
        temperature: Of all other tokens.
        by_kind: Of the tokens of some kinds.

    Raises:
        ConfigError: If the model has no tokens of a kind.
    """
    if tokenizer.modality != "music":
        raise ConfigError("--temperature by kind: the tokens of a text model are of one kind; give a number")
    relative = np.ones(len(tokenizer.tokens), np.float32)
    kinds = np.array([kind_of(token) for token in tokenizer.tokens])
    kinds[[EOS_ID, UNK_ID]] = ""
    for kind, value in by_kind.items():
        if kind not in kinds:
            known = ", ".join(sorted(set(kinds.tolist()) - {""}))
            raise ConfigError(f"--temperature {kind}={value:g}: the model has tokens of {known}")
        relative[kinds == kind] = temperature / value
    return relative
