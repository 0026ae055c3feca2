"""The pipeline, one stage a module or package: arrays in, named results out, no state."""
