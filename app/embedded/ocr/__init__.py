"""Text recognition: pixels become lines of text with boxes and confidences."""
