"""Random changes of training images, each a function of numbers drawn for one sample in one epoch.

The draws come with the order of the epoch (``tfdl.data.pipeline``), and so does the partner of a mixed image: an image
is changed in the same way on any number of ranks, and after a resume.
"""

from tfdl.data.augmentation.change import ImageChange, ImageMix
from tfdl.data.augmentation.plan import Augmentation

__all__ = ["Augmentation", "ImageChange", "ImageMix"]
