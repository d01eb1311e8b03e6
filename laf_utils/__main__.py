"""``python -m laf_utils``: the command ``laf``, which ``pip install`` puts beside Python too."""

import sys

from .forgetting.command import main

if __name__ == "__main__":
    sys.exit(main())
