"""``python -m openpollen`` is ``polli``."""

from openpollen.cli.main import main

if __name__ == "__main__":
    main()
