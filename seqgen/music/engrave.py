"""Notation as SVG through Verovio, which is an extra."""

from importlib.util import find_spec

from seqgen.music.pieces import Piece

WIDE_MM, NARROW_MM, SCALE = 210, 90, 40


def can_engrave() -> bool:
    """Tell whether Verovio is installed."""
    return find_spec("verovio") is not None


def engrave(piece: Piece, *, width_mm: int = WIDE_MM) -> str:
    """Return a piece as notation: one page as high as it takes, in SVG."""
    import verovio

    from seqgen.music.write import write_musicxml

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(
        {
            "pageWidth": 10 * width_mm,
            "pageHeight": 60_000,
            "adjustPageHeight": True,
            "scale": SCALE,
            "header": "none",
            "footer": "none",
            "svgViewBox": True,
            "svgRemoveXlink": True,
            "pageMarginLeft": 40,
            "pageMarginRight": 40,
            "pageMarginTop": 30,
            "pageMarginBottom": 30,
        }
    )
    toolkit.loadData(write_musicxml(piece, beams=True))  # Verovio draws what it is told
    svg: str = toolkit.renderToSVG(1)
    return svg[svg.index("<svg") :]
