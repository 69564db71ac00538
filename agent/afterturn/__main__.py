"""`python -m afterturn`: the command line, where no script is on the PATH."""

from afterturn.cli import main

main()
