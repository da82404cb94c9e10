"""Random changes of training images, each a function of numbers drawn for one sample in one epoch.

The draws come with the order (see ``pipeline``), and so does the other image where two are mixed: an image is changed
alike on any number of ranks, and after a resume.
"""

from tfdl.data.augmentation.plan import Augmentation

__all__ = ["Augmentation"]
