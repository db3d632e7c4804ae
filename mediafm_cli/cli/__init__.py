"""The command line: thin commands over the library. No module here imports torch, NumPy, h5py or av at its top."""
