"""CNMF-E: seeds, footprints, traces and the ring model of the background, in patches."""
