"""Batches of boxes for training, cut around picks and at random places, across the runs of a project."""

from aiocopick.training.boxes import Batch, BlockingBoxes, Boxes, boxes, boxes_sync
from aiocopick.training.places import Place, Sampler, random_places

__all__ = ["Batch", "BlockingBoxes", "Boxes", "Place", "Sampler", "boxes", "boxes_sync", "random_places"]
