"""The stages that read media or stores and commit one group to a store. One file a stage."""
