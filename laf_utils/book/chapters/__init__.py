"""What the notebooks compute and show: ``laf_views`` for ``LAF.ipynb``, ``chN_`` for chapter N, ``shared`` for several."""

from ...support.extras import require

require("pandas", "matplotlib", "IPython")
