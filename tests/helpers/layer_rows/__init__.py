"""What a layer is called with and what it computes: a row of a table for every layer.

Name: what makes the layer, the shape of a sample, the reference in plain NumPy, options of `check_layer`.
"""

from tests.helpers.layer_rows.basic import BASIC
from tests.helpers.layer_rows.images import IMAGES
from tests.helpers.layer_rows.normalizations import NORMALIZATIONS
from tests.helpers.layer_rows.sequences import SEQUENCES
from tests.helpers.layer_rows.tables import TABLES

LAYERS = {**BASIC, **TABLES, **IMAGES, **NORMALIZATIONS, **SEQUENCES}
