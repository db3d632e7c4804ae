"""The HDF5 store: the only thing that stands between two stages. The format is in docs/store-format.md."""
