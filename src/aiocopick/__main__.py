"""``python -m aiocopick`` is the command line."""

from aiocopick.cli import main

if __name__ == "__main__":
    main()
