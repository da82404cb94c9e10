"""Random changes of training images, each a function of the numbers that are drawn for one sample in one epoch.

``tfdl.data.pipeline`` makes the draws for a whole epoch, and chooses the partners of mixed images. So an image is
changed in the same way on any number of ranks, and after a resume.
"""

from tfdl.data.augmentation.change import ImageChange, ImageMix
from tfdl.data.augmentation.plan import Augmentation

__all__ = ["Augmentation", "ImageChange", "ImageMix"]
