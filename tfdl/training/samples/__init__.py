"""What trackers show of a validation, besides its metrics."""
