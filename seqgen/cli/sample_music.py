"""The options of `seqgen sample` that are for music models."""

from typing import Annotated

import typer

Tune = Annotated[int | None, typer.Option(min=1, help="Which tune of the --prompt file; else the first.")]
