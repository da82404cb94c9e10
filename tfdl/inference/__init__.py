"""Using trained models: predictions and generated texts."""
