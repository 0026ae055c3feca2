"""CaImAn's interface: its objects, their parameters and their files, on top of the stages."""
