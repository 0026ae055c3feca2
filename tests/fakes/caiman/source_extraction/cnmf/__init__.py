from caiman.source_extraction.cnmf import cnmf, estimates, params  # noqa: F401
from caiman.source_extraction.cnmf.cnmf import CNMF  # noqa: F401
