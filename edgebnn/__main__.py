"""`python -m edgebnn`: the same as the `edgebnn` command."""

from edgebnn.cli import main

main()
