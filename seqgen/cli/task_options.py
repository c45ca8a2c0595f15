"""The options of `seqgen train` for tasks other than language models."""

from pathlib import Path
from typing import Annotated

import typer

TaskName = Annotated[
    str | None, typer.Option("--task", help="lm, classify or translate: what to train for; lm unless given.")
]
ValidFiles = Annotated[
    list[str] | None, typer.Option("--valid", metavar="FILE", help="Validate on this file; repeatable.")
]
TestFiles = Annotated[
    list[str] | None, typer.Option("--test", metavar="FILE", help="Test on this file; repeatable.")
]
TextColumn = Annotated[str | None, typer.Option(help="classify: the column of texts, name or number.")]
LabelColumn = Annotated[str | None, typer.Option(help="classify: the column of labels, name or number.")]
Bidirectional = Annotated[
    bool | None, typer.Option("--bidirectional", help="Read from both ends; not for language models.")
]
Pool = Annotated[
    str | None, typer.Option(help="classify: last, mean, max, attention or concat of last, max and mean.")
]
WordDropout = Annotated[float | None, typer.Option(help="classify: share of tokens read as unknown.")]
PooledDropout = Annotated[float | None, typer.Option(help="classify: share of units dropped at the end.")]
Adversarial = Annotated[
    float | None,
    typer.Option(help="classify: learn each text also with its vectors moved so far against it."),
]
ClassWeights = Annotated[str | None, typer.Option(help="classify: none, or balanced for rare classes.")]
InitFrom = Annotated[
    Path | None, typer.Option("--init-from", metavar="MODEL", help="Start from this language model.")
]
VectorsOnly = Annotated[
    bool | None,
    typer.Option("--vectors-only", help="classify: start from the embedding of --init-from alone."),
]
RateDecay = Annotated[float | None, typer.Option(help="classify: a layer's rate as a share of the next's.")]
UnfreezeEpochs = Annotated[
    float | None, typer.Option(help="classify: epochs until the next lower layer learns, too.")
]
AttentionName = Annotated[
    str | None,
    typer.Option("--attention", help="translate: none, dot, general or additive, which is the default."),
]
InputFeeding = Annotated[
    bool | None, typer.Option("--input-feeding", help="translate: feed features into the next step.")
]
TeacherForcing = Annotated[
    float | None, typer.Option(help="translate: share of given tokens at the end; 1 at the beginning.")
]
SharedVocab = Annotated[bool | None, typer.Option("--shared-vocab", help="translate: both sides have one.")]
TargetLevel = Annotated[str | None, typer.Option(help="translate: the level of targets.")]
TargetMaxSize = Annotated[int | None, typer.Option(help="translate: most tokens of targets.")]
