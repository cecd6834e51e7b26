"""OME-Zarr volumes in a zarr store: levels, regions, shards, writing, and the rules of their metadata. No CoPick in it."""
