"""The options of `seqgen sample` that say what a tune must be like."""

from typing import Annotated

import typer

Valid = Annotated[
    bool | None,
    typer.Option(
        "--valid/--any", help="Tunes are whole and bars add up, which is the default; or they may be any."
    ),
]
Key = Annotated[str | None, typer.Option(help="The tune is in this key: G, Bb, F#m, Ador, Gmix.")]
Meter = Annotated[str | None, typer.Option(help="The tune is in this meter, such as 6/8.")]
Bars = Annotated[int | None, typer.Option(help="The tune has so many bars, a pick-up not counted.")]
Scale = Annotated[
    str | None,
    typer.Option(
        help="No other pitches: key (that of the tune), chromatic, or on its tonic major, minor, dorian, "
        "mixolydian, phrygian, lydian, locrian, pentatonic, blues (the last two by the key's third)."
    ),
]
Range = Annotated[
    str | None, typer.Option("--range", metavar="LOW:HIGH", help="No pitch lies outside, such as D4:B5.")
]
MaxLeap = Annotated[int | None, typer.Option(help="No note is more semitones from the next.")]
EndOn = Annotated[
    str | None, typer.Option(help="What the last note is, of a chorale that of the bass: tonic, or as D.")
]
MaxPolyphony = Annotated[int | None, typer.Option(help="No more notes sound at once; for models of remi.")]
