"""A PDF: its pages as pictures, and whether the text layer of each is what is drawn."""
