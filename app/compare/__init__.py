"""Several models on the same pictures, beside each other: asked over HTTP, measured, one page."""
