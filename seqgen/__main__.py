"""`python -m seqgen` is the same as `seqgen`."""

from seqgen.cli.app import main

main()
