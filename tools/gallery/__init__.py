"""Render the executed lessons, and the pages around them, to a static site: `make gallery`."""
