from cnmf_engine.base.paths import caiman_datadir, fn_relocated, get_tempdir  # noqa: F401
