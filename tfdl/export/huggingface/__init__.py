"""A folder for Hugging Face's transformers."""
