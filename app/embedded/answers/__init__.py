"""From the message of a user and the facts of its images to the text of an answer."""
