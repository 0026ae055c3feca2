"""One-photon calcium imaging with the interface of CaImAn."""
__version__ = "0.1.0"
