"""CNMF-E."""
