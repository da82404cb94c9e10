"""tfdl's own builders, which download nothing."""

# Name -> module that defines the builder.
EMBEDDED = {
    "digits": "tfdl.data.digits",
    "python_topics": "tfdl.data.python_topics",
    "docstrings": "tfdl.data.docstrings",
    "dates": "tfdl.data.dates",
}
