"""Texts as token numbers: tables on disk, batches of unequal lengths, windows of one stream."""
