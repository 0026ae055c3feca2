"""Constrained deconvolution of traces: spikes and calcium from fluorescence."""
