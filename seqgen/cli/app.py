"""The command line: the error boundary and the exit codes.

Exit 0: done, or the reader of the pipe had enough. 1: a SeqgenError, told in one line on stderr.
2: wrong usage. 130: Ctrl-C. Set SEQGEN_TRACEBACK=1 to see where an error came from.
"""

import errno
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from seqgen import __version__
from seqgen.cli.commands import CommandTable, plain_typer
from seqgen.cli.console import complain
from seqgen.errors import SeqgenError

app = plain_typer(
    cls=CommandTable,
    name="seqgen",
    help="Train small recurrent language models on text and tunes, and sample from them.",
    epilog="Begin with: seqgen sample models/fiddle, or seqgen train book.txt -o models/book",
    no_args_is_help=True,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"seqgen {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


# The base of every usage error. typer carries its own copy of click from 0.26 on, so it is asked for it.
_UsageProblem: Any = typer.BadParameter.__mro__[2]


def main() -> NoReturn:
    """Run the command line and exit with the code that says how it went."""
    sys.exit(run())


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; every expected failure becomes one line on stderr."""
    try:
        code = app(arguments, standalone_mode=False)
        sys.stdout.flush()
    except SeqgenError as error:
        return _failed(error, str(error), 1)
    except _UsageProblem as error:
        error.message = error.message.replace("Value error, ", "")  # pydantic's words for a wrong choice
        error.show()
        return int(error.exit_code)
    except (KeyboardInterrupt, typer.Abort) as error:
        return _failed(error, "interrupted", 130)
    except BrokenPipeError:
        return _reader_left()
    except SystemExit as error:
        # typer makes this of a broken pipe, also where it is told to leave exceptions alone.
        if isinstance(error.__context__, BrokenPipeError):
            return _reader_left()
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _failed(error, f"{_place(error)}: the disk is full; free some space and try again", 1)
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
            return _failed(error, f"{_place(error)}: permission denied; choose another place", 1)
        raise
    return code if isinstance(code, int) else 0


def _reader_left() -> int:
    """End quietly after `| head`: nothing more can be written, not even at interpreter exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _place(error: OSError) -> str:
    return str(error.filename) if error.filename else "output"


def _failed(error: BaseException, message: str, code: int) -> int:
    if os.environ.get("SEQGEN_TRACEBACK"):
        raise error
    complain(message)
    return code
